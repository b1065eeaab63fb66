import type { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import * as ws from 'ws';
import { textFrame } from '../../src/http/ws-frame.js';

// What reads frames in `ws`; its types leave it out.
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable };

it.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])(
  'frames %i bytes as ws reads them',
  (length) => {
    const text = length > 2 ? `ü${'x'.repeat(length - 2)}` : 'x'.repeat(length);
    const read: string[] = [];
    const receiver = new Receiver({ isServer: false });
    receiver.on('message', (data: Buffer, isBinary: boolean) => {
      expect(isBinary).toBe(false);
      read.push(data.toString());
    });
    const frame = textFrame(text);
    receiver.write(Buffer.concat([frame, textFrame('after it')]));
    expect(frame.length - length).toBe(length <= 125 ? 2 : length <= 65_535 ? 4 : 10);
    return expect.poll(() => read).toEqual([text, 'after it']);
  },
);
