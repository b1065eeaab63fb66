import { Readable } from 'node:stream';
import type { JsonStream, JsonText, Surface } from './define.js';

/** Stands in for what is JSON text already; no value of ours holds it. */
const MARKER = '\u0000';

/** The JSON text before and after the marker. */
function around(value: unknown): [string, string] {
  return JSON.stringify(value).split(JSON.stringify(MARKER)) as [string, string];
}

/** The text of an answer whose data is JSON text already. */
export function jsonTextBody(surface: Surface, { json }: JsonText): string {
  return around(surface.success(MARKER)).join(json);
}

/**
 * The text of an answer whose list comes in pages; one page is in memory at a time. The first page is read before
 * this resolves, so that what fails at once can still be answered with an error.
 */
export async function jsonStreamBody(surface: Surface, stream: JsonStream): Promise<Readable> {
  const iterator = stream.pages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const [before, after] = around(surface.success({ ...stream.head, [stream.list]: MARKER }));

  async function* chunks(): AsyncGenerator<string> {
    let count = 0;
    let separator = '';
    yield `${before}[`;
    try {
      for (let page = first; !page.done; page = await iterator.next()) {
        if (page.value.count === 0) continue;
        yield separator + page.value.elements;
        count += page.value.count;
        separator = ',';
      }
    } finally {
      await iterator.return?.();
    }
    yield `],"count":${count}${after}`;
  }
  return Readable.from(chunks(), { objectMode: false, highWaterMark: 65_536 });
}

/** A text that comes in pieces, of which one is in memory at a time. The first is read before this resolves. */
export async function textStreamBody(pieces: AsyncIterable<string>): Promise<Readable> {
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();

  async function* chunks(): AsyncGenerator<string> {
    try {
      for (let piece = first; !piece.done; piece = await iterator.next()) yield piece.value;
    } finally {
      await iterator.return?.();
    }
  }
  return Readable.from(chunks(), { objectMode: false, highWaterMark: 65_536 });
}
