import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { inTurns } from '../../src/lib/in-turns.js';
import { readPgmHeader } from '../../src/lib/pgm.js';
import { greyPixels } from '../../src/lib/pgm-samples.js';
import { useApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { mapFixture, mapForm, randomPgm, upload } from '../support/maps.js';
import { expectFailure } from '../support/rest.js';

describeEachDatabase('the image of a map', (kind) => {
  let database: TestDatabase;
  const app = useApp({
    ...kind,
    create: async () => {
      database = await kind.create();
      return database;
    },
  });
  const pgm = randomPgm(700, 500);
  const sha = createHash('sha256').update(pgm).digest('hex');
  let id: string;

  beforeAll(async () => {
    id = await store(pgm);
  });

  async function store(image: Buffer): Promise<string> {
    return (await upload(app(), mapForm({ pgm: image }))).json.data.map_id;
  }

  function get(path: string, headers: Record<string, string> = {}, method = 'GET') {
    return fetch(`${app().url}/api/v1/map/${path}`, {
      method,
      headers: { authorization: `Bearer ${app().admin.token}`, ...headers },
    });
  }

  it('comes byte for byte as it was uploaded', async () => {
    const answer = await get(`${id}/image`);
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/x-portable-graymap',
      'content-length': String(pgm.length),
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
      etag: `"${sha}.pgm"`,
    });
    expect(Buffer.from(await answer.arrayBuffer()).equals(pgm)).toBe(true);
    const explicit = await get(`${id}/image?format=pgm`);
    expect(Buffer.from(await explicit.arrayBuffer()).equals(pgm)).toBe(true);
  });

  it.each(['pgm', 'png'])('is not sent again to who has it: %s', async (format) => {
    const path = `${id}/image?format=${format}`;
    const first = await get(path);
    await first.arrayBuffer();
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toBe(`"${sha}.${format}"`);
    for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await get(path, { 'if-none-match': tags });
      expect([tags, answer.status, await answer.text()]).toEqual([tags, 304, '']);
      expect(answer.headers.get('etag')).toBe(etag);
      expect(answer.headers.get('cache-control')).toBe('private, no-cache');
    }
    for (const tags of ['"x"', sha, `"${sha}"`, '']) {
      const answer = await get(path, { 'if-none-match': tags });
      expect([tags, answer.status]).toEqual([tags, 200]);
      await answer.arrayBuffer();
    }
  });

  it('has a head without a body', async () => {
    const answer = await get(`${id}/image`, {}, 'HEAD');
    expect([answer.status, await answer.text()]).toEqual([200, '']);
    expect(answer.headers.get('content-length')).toBe(String(pgm.length));
    expect(answer.headers.get('etag')).toBe(`"${sha}.pgm"`);
    const png = await get(`${id}/image?format=png`, {}, 'HEAD');
    expect([png.status, png.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(await png.text()).toBe('');
    const cached = await get(`${id}/image`, { 'if-none-match': `"${sha}.pgm"` }, 'HEAD');
    expect(cached.status).toBe(304);
    expect((await get('nothing/image', {}, 'HEAD')).status).toBe(404);
  });

  it.each([
    ['plain.pgm', 'uchar', 8],
    ['plain-16.pgm', 'ushort', 16],
    ['binary.pgm', 'uchar', 8],
    ['binary-16.pgm', 'ushort', 16],
  ] as const)('is drawn grey for grey: %s', async (name, depth, bits) => {
    const image = mapFixture(name);
    const answer = await get(`${await store(image)}/image?format=png`);
    expect(answer.headers.get('content-type')).toBe('image/png');
    const png = Buffer.from(await answer.arrayBuffer());
    expect(answer.headers.get('content-length')).toBe(String(png.length));
    // The header of a PNG: width, height, bits of a sample, and 0 for grey.
    expect([png.readUInt32BE(16), png.readUInt32BE(20), png[24], png[25]]).toEqual([4, 3, bits, 0]);
    const { data, info } = await sharp(png)
      .toColourspace(bits === 16 ? 'grey16' : 'b-w')
      .raw({ depth })
      .toBuffer({ resolveWithObject: true });
    expect(info.channels).toBe(1);
    const drawn = bits === 16 ? new Uint16Array(data.buffer, data.byteOffset, 12) : data;
    const pixels = await inTurns(greyPixels(image, readPgmHeader(image, 100)));
    expect([...drawn]).toEqual([...pixels]);
  });

  it('is drawn once for all who ask at once, and stays the same', async () => {
    const large = await store(randomPgm(2_000, 2_000));
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => get(`${large}/image?format=png`)),
    );
    const bodies = await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
    const hashes = bodies.map((body) =>
      createHash('sha256').update(Buffer.from(body)).digest('hex'),
    );
    expect(new Set(hashes).size).toBe(1);
  });

  it('refuses formats that there are not', async () => {
    const path = `/api/v1/map/${id}/image?format=jpg`;
    expectFailure(await app().call('GET', path), 400, /^format: /);
  });

  it('keeps everybody else going while it is drawn', async () => {
    const large = await store(randomPgm(3_000, 3_000));
    let done = false;
    const drawing = get(`${large}/image?format=png`)
      .then((answer) => answer.arrayBuffer())
      .finally(() => {
        done = true;
      });
    let answered = 0;
    while (!done) {
      expect((await app().call('GET', '/version', undefined, null)).status).toBe(200);
      answered += 1;
    }
    await drawing;
    expect(answered).toBeGreaterThan(5);
  });

  it('of a map that was adopted with what is no image', async () => {
    const pgm_data = Buffer.from('no image at all');
    const handle = await openDatabase(database.config);
    onTestFinished(handle.close);
    await handle.db
      .insertInto('maps')
      .values({
        ...{ id: 'adopted', account_id: app().admin.account_id, robot_id: null, name: null },
        ...{ resolution: null, origin_x: 1, origin_y: 2, origin_yaw: null, negate: null },
        ...{ occupied_thresh: null, free_thresh: null, mode: null, width: null, height: null },
        ...{ max_value: null, pgm_sha256: 'a hash', size_bytes: pgm_data.length, pgm_data },
        ...{ yaml_raw: '', created_at: 1_000 },
      })
      .execute();
    const map = await app().call('GET', '/api/v1/map/adopted');
    expect(map.json.data).toMatchObject({ width: null, origin_x: 1, origin: null, negate: null });
    expect(await (await get('adopted/image')).text()).toBe('no image at all');
    const png = await app().call('GET', '/api/v1/map/adopted/image?format=png');
    expectFailure(png, 409, /^This map cannot be drawn: its image must be a PGM image/);
  });
});
