import { createHash } from 'node:crypto';
import { createTRPCClient, httpBatchLink, TRPCClientError } from '@trpc/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { createFleetClient, geometryOf, shadesOf, worldToPixel } from '../../src/client/index.js';
import type { AppRouter } from '../../src/routers/index.js';
import { type Account, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { MAP_YAML, type MapParts, mapFixture, mapForm, upload } from '../support/maps.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';

const UUID = expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/);

async function uploaded(app: TestApp, parts: MapParts = {}, token?: string): Promise<string> {
  const answer = await upload(app, mapForm(parts), token);
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
  return answer.json.data.map_id;
}

async function addRobot(app: TestApp, robot_id: string, token?: string) {
  const answer = await app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' }, token);
  expect(answer.status).toBe(200);
}

async function robotKey(app: TestApp, robot_id: string): Promise<string> {
  const answer = await app.call('POST', '/api/v1/keys', { name: robot_id, robot_id });
  return answer.json.data.key;
}

describeEachDatabase('maps', (kind) => {
  const app = useApp(kind);
  let stranger: Account;

  beforeAll(async () => {
    stranger = await app().addAccount();
    for (const robot of ['r1', 'r2']) await addRobot(app(), robot);
  });

  it('are stored with all that the YAML and the image say', async () => {
    expectFailure(await app().call('GET', '/api/v1/map/latest'), 404, 'No map available');
    expectData(await app().call('GET', '/api/v1/maps'), { maps: [], count: 0, next_cursor: null });

    const answer = await upload(app(), mapForm({ robot_id: 'r1' }));
    expectData(answer, { message: 'Map uploaded successfully', map_id: UUID });
    const map = {
      id: answer.json.data.map_id,
      account_id: app().admin.account_id,
      robot_id: 'r1',
      name: 'office',
      resolution: 0.05,
      origin_x: -10,
      origin_y: -12.5,
      origin_yaw: 0.25,
      origin: [-10, -12.5, 0.25],
      negate: false,
      occupied_thresh: 0.65,
      free_thresh: 0.25,
      mode: 'trinary',
      width: 4,
      height: 3,
      max_value: 255,
      size_bytes: mapFixture('binary.pgm').length,
      created_at: INSTANT,
    };
    expectData(await app().call('GET', `/api/v1/map/${map.id}`), map);
    expectData(await app().call('GET', '/api/v1/map/latest'), map);
    const list = await app().call('GET', '/api/v1/maps');
    expectData(list, { maps: [map], count: 1, next_cursor: null });
  });

  it.each([
    ['plain.pgm', 15],
    ['plain-16.pgm', 65_535],
    ['binary-16.pgm', 65_535],
  ])('of every kind: %s', async (name, max_value) => {
    const pgm = mapFixture(name);
    const id = await uploaded(app(), { pgm, name, yaml: MAP_YAML.replace('trinary', 'raw') });
    const map = await app().call('GET', `/api/v1/map/${id}`);
    expect(map.json.data).toMatchObject({ name: name.slice(0, -4), max_value, mode: 'raw' });
    const image = await fetch(`${app().url}/api/v1/map/${id}/image`, {
      headers: { authorization: `Bearer ${app().admin.token}` },
    });
    expect(image.headers.get('content-type')).toBe('image/x-portable-graymap');
    expect(Buffer.from(await image.arrayBuffer())).toEqual(pgm);
  });

  it.each([
    ['office.pgm', 'office'],
    ['first.floor.pgm', 'first.floor'],
    ['no ending', 'no ending'],
    ['../../etc/pass\\wd.pgm', 'wd'],
    ['Büro 1.pgm', 'Büro 1'],
    ['.pgm', 'map'],
    [`${'x'.repeat(300)}.pgm`, 'x'.repeat(200)],
  ])('are named after the image file: %s', async (name, expected) => {
    const id = await uploaded(app(), { name });
    expect((await app().call('GET', `/api/v1/map/${id}`)).json.data.name).toBe(expected);
  });

  it('are listed newest first, in pages, of one robot when that is asked', async () => {
    const owner = await app().addAccount();
    for (const robot of ['m1', 'm2']) await addRobot(app(), robot, owner.token);
    const ids: string[] = [];
    for (let n = 0; n < 7; n += 1) {
      const robot_id = [undefined, 'm1', 'm2'][n % 3];
      ids.unshift(await uploaded(app(), { name: `${n}.pgm`, robot_id }, owner.token));
    }
    const get = async (search: string) =>
      (await app().call('GET', `/api/v1/maps${search}`, undefined, owner.token)).json.data;
    expect((await get('')).maps.map(({ id }: { id: string }) => id)).toEqual(ids);

    const paged: string[] = [];
    for (let search = '?limit=3'; ; ) {
      const { maps, count, next_cursor } = await get(search);
      expect(count).toBe(maps.length);
      paged.push(...maps.map(({ id }: { id: string }) => id));
      if (next_cursor === null) break;
      search = `?limit=3&cursor=${encodeURIComponent(next_cursor)}`;
    }
    expect(paged).toEqual(ids);
    expect(await get('?limit=7')).toMatchObject({ count: 7, next_cursor: null });

    const ofM1 = await get('?robot_id=m1');
    expect(ofM1.maps.map(({ name }: { name: string }) => name)).toEqual(['4', '1']);
    const latest = await app().call(
      'GET',
      '/api/v1/map/latest?robot_id=m2',
      undefined,
      owner.token,
    );
    expect(latest.json.data.name).toBe('5');
    const none = await app().call('GET', '/api/v1/map/latest?robot_id=m3', undefined, owner.token);
    expectFailure(none, 404, 'No map available');
    for (const cursor of ['x', '1', '1.', '%00', '1.%00', '9999999999999999.a']) {
      const answer = await app().call('GET', `/api/v1/maps?cursor=${cursor}`);
      expectFailure(answer, 400, 'cursor: is not one that this server gave out');
    }
    expectFailure(await app().call('GET', '/api/v1/maps?limit=0'), 400, /^limit: /);
    expectFailure(await app().call('GET', '/api/v1/maps?limit=1001'), 400, /^limit: /);
  });

  it('have an order even when they come at the same time', async () => {
    const owner = await app().addAccount();
    const ids = await Promise.all(
      Array.from({ length: 6 }, (_, n) => uploaded(app(), { name: `${n}.pgm` }, owner.token)),
    );
    const { maps } = (await app().call('GET', '/api/v1/maps', undefined, owner.token)).json.data;
    const times = maps.map(({ created_at }: { created_at: string }) => created_at);
    expect(new Set(times).size).toBe(ids.length);
    expect(times).toEqual([...times].sort().reverse());
  });

  it('belong to their account', async () => {
    const id = await uploaded(app());
    const calls = [
      ['GET', `/api/v1/map/${id}`],
      ['GET', `/api/v1/map/${id}/image`],
      ['DELETE', `/api/v1/map/${id}`],
    ] as const;
    for (const [method, path] of calls) {
      expectFailure(
        await app().call(method, path, undefined, stranger.token),
        404,
        'Map not found',
      );
      const unknown = path.replace(id, crypto.randomUUID());
      expectFailure(await app().call(method, unknown), 404, 'Map not found');
    }
    for (const mapId of ['%00', 'x', '%F0%9F%A4%96', "'--", 'latest2']) {
      expectFailure(await app().call('GET', `/api/v1/map/${mapId}`), 404, 'Map not found');
    }
    const latest = await app().call('GET', '/api/v1/map/latest', undefined, stranger.token);
    expectFailure(latest, 404, 'No map available');
    expect((await app().call('GET', `/api/v1/map/${id}`)).status).toBe(200);
    const foreign = await upload(app(), mapForm({ robot_id: 'r1' }), stranger.token);
    expectFailure(foreign, 403, 'Access denied');
    const unknown = await upload(app(), mapForm({ robot_id: 'nobody' }));
    expectFailure(unknown, 404, 'Robot not found');
  });

  it('are active for robots until they are deleted', async () => {
    const path = '/api/v1/robots/r1/map';
    const activeOf = async (robot: string) =>
      (await app().call('GET', `/api/v1/robots/${robot}`)).json.data.active_map_id;
    expectFailure(await app().call('GET', path), 404, 'The robot has no active map');
    expect(await activeOf('r1')).toBeNull();

    const [first, second] = [await uploaded(app()), await uploaded(app())];
    for (const robot of ['r1', 'r2']) {
      const map = { map_id: first };
      expectData(await app().call('POST', `/api/v1/robots/${robot}/map`, map), {
        message: 'Active map updated',
        robot_id: robot,
        active_map_id: first,
      });
      expect(await activeOf(robot)).toBe(first);
    }
    expect((await app().call('GET', path)).json.data.id).toBe(first);
    await app().call('POST', path, { map_id: second });
    expectData(await app().call('DELETE', `/api/v1/map/${first}`), {
      message: 'Map deleted successfully',
      map_id: first,
    });
    expectFailure(await app().call('GET', `/api/v1/map/${first}/image`), 404, 'Map not found');
    expect([await activeOf('r1'), await activeOf('r2')]).toEqual([second, null]);
    expectFailure(await app().call('GET', '/api/v1/robots/r2/map'), 404);

    expectFailure(await app().call('POST', path, { map_id: first }), 404, 'Map not found');
    expectFailure(await app().call('POST', path, {}), 400, 'map_id is required');
    const owner = await app().addAccount();
    const foreign = await uploaded(app(), {}, owner.token);
    expectFailure(await app().call('POST', path, { map_id: foreign }), 404, 'Map not found');
    expect(await activeOf('r1')).toBe(second);
    expect((await app().call('POST', path, { map_id: null })).json.data.active_map_id).toBeNull();
    expect(await activeOf('r1')).toBeNull();
  });

  it("let a robot's own key upload and delete its own, and read all", async () => {
    const key = await robotKey(app(), 'r1');
    const others = await uploaded(app(), { robot_id: 'r2' });
    const own = await uploaded(app(), {}, key);
    expect((await app().call('GET', `/api/v1/map/${own}`)).json.data.robot_id).toBe('r1');
    expectFailure(await upload(app(), mapForm({ robot_id: 'r2' }), key), 403, 'Access denied');
    expect((await app().call('GET', `/api/v1/map/${others}`, undefined, key)).status).toBe(200);
    const refused = await app().call('DELETE', `/api/v1/map/${others}`, undefined, key);
    expectFailure(refused, 403, 'Access denied');
    const active = await app().call('POST', '/api/v1/robots/r1/map', { map_id: others }, key);
    expect(active.json.data.active_map_id).toBe(others);
    expect((await app().call('DELETE', `/api/v1/map/${own}`, undefined, key)).status).toBe(200);
  });

  it('stay when their robot is deleted', async () => {
    await addRobot(app(), 'short-lived');
    const id = await uploaded(app(), { robot_id: 'short-lived' });
    await app().call('POST', '/api/v1/robots/short-lived/map', { map_id: id });
    await app().call('DELETE', '/api/v1/robots/short-lived', { confirm: 'short-lived' });
    expect((await app().call('GET', `/api/v1/map/${id}`)).status).toBe(200);
    expect((await app().call('DELETE', `/api/v1/map/${id}`)).status).toBe(200);
  });

  it('do the same over tRPC', async () => {
    const owner = await app().addAccount();
    await addRobot(app(), 't1', owner.token);
    const headers = { authorization: `Bearer ${owner.token}` };
    const links = [httpBatchLink({ url: `${app().url}/trpc`, headers })];
    const fleet = createFleetClient({ url: app().url, token: owner.token });
    for (const client of [createTRPCClient<AppRouter>({ links }), fleet]) {
      await expect(client.maps.latest.query()).rejects.toThrow('No map available');
      const { map_id } = await client.maps.upload.mutate({
        yaml: MAP_YAML,
        pgm: mapFixture('binary-16.pgm').toString('base64'),
        file_name: 'office.pgm',
        robot_id: 't1',
      });
      const map = await client.maps.get.query({ map_id });
      const rest = await app().call('GET', `/api/v1/map/${map_id}`, undefined, owner.token);
      expect(map).toEqual(rest.json.data);
      expect(await client.maps.latest.query({ robot_id: 't1' })).toEqual(map);
      // The lower-left corner of an image that is 3 pixels high.
      const geometry = geometryOf(map);
      expect(geometry && worldToPixel(geometry, { x: -10, y: -12.5 })).toEqual({
        column: 0,
        row: 3,
      });
      expect(shadesOf(map)).toMatchObject({ mode: 'trinary' });
      expect(await client.maps.list.query()).toEqual({ maps: [map], count: 1, next_cursor: null });
      expect(await client.maps.setActive.mutate({ robot_id: 't1', map_id })).toMatchObject({
        active_map_id: map_id,
      });
      expect(await client.maps.active.query({ robot_id: 't1' })).toEqual(map);
      const image = await client.maps.image.query({ map_id });
      const pgm = mapFixture('binary-16.pgm');
      expect(image).toEqual({
        map_id,
        pgm_url: `/api/v1/map/${map_id}/image`,
        png_url: `/api/v1/map/${map_id}/image?format=png`,
        sha256: createHash('sha256').update(pgm).digest('hex'),
        size_bytes: pgm.length,
      });
      const bytes = await fetch(app().url + image.pgm_url, { headers });
      expect(Buffer.from(await bytes.arrayBuffer())).toEqual(pgm);
      expect((await client.maps.delete.mutate({ map_id })).map_id).toBe(map_id);
      await expect(client.maps.get.query({ map_id })).rejects.toThrow('Map not found');
    }
    await fleet.close();
  });

  it('are refused over tRPC with the same issues', async () => {
    const links = [
      httpBatchLink({
        url: `${app().url}/trpc`,
        headers: { authorization: `Bearer ${app().admin.token}` },
      }),
    ];
    const client = createTRPCClient<AppRouter>({ links });
    const failure = async (input: Parameters<typeof client.maps.upload.mutate>[0]) => {
      const error = await client.maps.upload.mutate(input).catch((thrown: unknown) => thrown);
      if (!(error instanceof TRPCClientError)) throw error;
      const { httpStatus, issues } = error.data;
      return { message: error.message, httpStatus, issues };
    };
    const pgm = mapFixture('binary.pgm').toString('base64');
    expect(await failure({ yaml: 'negate: 2', pgm: 'P5' })).toMatchObject({
      message: 'Invalid YAML format',
      httpStatus: 400,
      issues: expect.arrayContaining([
        { path: 'yaml.image', message: 'is missing' },
        { path: 'yaml.negate', message: 'must be 0, 1, true or false' },
        { path: 'pgm', message: expect.stringContaining('P2 or P5') },
      ]),
    });
    for (const wrong of ['not base64!', `${pgm}*`, 'ä']) {
      const answer = await failure({ yaml: MAP_YAML, pgm: wrong });
      expect(answer).toMatchObject({ message: 'pgm must be in base64', httpStatus: 400 });
    }
    const bytes = await failure({ yaml: MAP_YAML, pgm: new Uint8Array([1]) });
    expect(bytes.httpStatus).toBe(400);
    expect((await failure({ yaml: MAP_YAML, pgm: 'A'.repeat(1_100_000) })).httpStatus).toBe(413);
  });
});

describe('the number of maps of an account', () => {
  it.each(testDatabases.filter(({ unavailable }) => unavailable === undefined))(
    'has a limit, also for uploads at once, on $dialect',
    async (kind) => {
      const app = await startApp(kind, { config: { limits: { maps_per_account: 3 } } });
      const answers = await Promise.all(Array.from({ length: 6 }, () => upload(app)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
      const refused = answers.filter(({ status }) => status !== 200);
      for (const answer of refused) {
        expectFailure(answer, 403, 'An account has at most 3 maps; delete one first');
        expect(answer.json.limit).toBe('maps_per_account');
      }
      const other = await app.addAccount();
      expect((await upload(app, mapForm(), other.token)).status).toBe(200);
      const { maps } = (await app.call('GET', '/api/v1/maps')).json.data;
      expect(maps).toHaveLength(3);
      await app.call('DELETE', `/api/v1/map/${maps[0].id}`);
      expect((await upload(app)).status).toBe(200);
    },
  );
});
