import { Readable } from 'node:stream';
import type { JsonStream, Surface } from './define.js';

/**
 * The text of an answer whose list comes in pages; one page is in memory at a time. The first page is read before
 * this resolves, so that what fails at once can still be answered with an error.
 */
export async function jsonStreamBody(surface: Surface, stream: JsonStream): Promise<Readable> {
  const iterator = stream.pages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const marker = '\u0000';
  const whole = JSON.stringify(surface.success({ ...stream.head, [stream.list]: marker }));
  const [before, after] = whole.split(JSON.stringify(marker)) as [string, string];

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
