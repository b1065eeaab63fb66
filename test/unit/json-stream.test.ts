import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { JsonText } from '../../src/rest-adapter/define.js';
import { jsonStreamBody, jsonTextBody } from '../../src/rest-adapter/stream.js';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';

type Page = { count: number; elements: string };

/** Pages that count how many were asked for, and whether their reader let them go. */
function source(pages: readonly Page[], failAt?: number) {
  const seen = { asked: 0, released: false };
  async function* read(): AsyncGenerator<Page> {
    try {
      for (const [at, page] of pages.entries()) {
        seen.asked += 1;
        if (at === failAt) throw new Error('the database went away');
        yield page;
      }
    } finally {
      seen.released = true;
    }
  }
  return { seen, pages: read() };
}

const page = (...items: unknown[]): Page => ({
  count: items.length,
  elements: items.map((item) => JSON.stringify(item)).join(','),
});

async function textOf(pages: AsyncIterable<Page>): Promise<string> {
  const body = await jsonStreamBody(kairoio, { head: { robot_id: 'r"1' }, list: 'path', pages });
  let text = '';
  for await (const chunk of body) text += chunk;
  return text;
}

describe('jsonStreamBody', () => {
  it.each([
    ['no page', [], []],
    ['empty pages', [page(), page()], []],
    ['one page', [page(1, 2)], [1, 2]],
    [
      'pages with empty ones between',
      [page(), page(1), page(), page('a', { b: null }), page()],
      [1, 'a', { b: null }],
    ],
  ])('makes one document of %s', async (_name, pages, items) => {
    expect(JSON.parse(await textOf(source(pages).pages))).toEqual({
      success: true,
      data: { robot_id: 'r"1', path: items, count: items.length },
    });
  });

  it('fails before the first byte when the first page does', async () => {
    const { pages } = source([page(1)], 0);
    await expect(jsonStreamBody(kairoio, { head: {}, list: 'path', pages })).rejects.toThrow(
      'the database went away',
    );
  });

  it('breaks off when a later page fails, so that half an answer is not taken for a whole', async () => {
    await expect(textOf(source([page(1), page(2)], 1).pages)).rejects.toThrow(
      'the database went away',
    );
  });

  it('asks for no page beyond what its reader has room for', async () => {
    const large = page('x'.repeat(200_000));
    const { seen, pages } = source(Array.from({ length: 50 }, () => large));
    const body = await jsonStreamBody(kairoio, { head: {}, list: 'path', pages });
    body.read(0);
    for (let turn = 0; turn < 100; turn += 1) await setImmediate();
    expect(seen.asked).toBe(1);
    body.destroy();
  });

  it('lets the pages go when the reader leaves', async () => {
    const large = page('x'.repeat(200_000));
    const { seen, pages } = source(Array.from({ length: 50 }, () => large));
    const body = await jsonStreamBody(kairoio, { head: {}, list: 'path', pages });
    for await (const _chunk of body) break;
    expect(seen.released).toBe(true);
    expect(seen.asked).toBeLessThan(5);
  });
});

describe('jsonTextBody', () => {
  it('sends the text as it is', () => {
    const json = '{"big":123456789012345678901234567890,"one":1.0,"sign":"$& $1"}';
    expect(jsonTextBody(kairoio, new JsonText(json))).toBe(`{"success":true,"data":${json}}`);
  });
});
