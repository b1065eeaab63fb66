import { TokenVerifier } from 'livekit-server-sdk';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';
import { connect, replyOf } from '../support/trpc-client.js';

const DEVELOPMENT = { key: 'devkey', secret: 'secret', host: 'http://localhost:7880' };
const sqlite = testDatabases.filter(({ dialect }) => dialect === 'sqlite');

/** What LiveKit itself makes of a token, with no seconds of grace. */
function claimsOf({ json }: Answer, { key, secret } = DEVELOPMENT) {
  return new TokenVerifier(key, secret).verify(json.data.token, 0);
}

describeEachDatabase('streaming tokens', (kind) => {
  const app = useApp(kind);
  const get = (search = '', token?: string, robotId = 'r 1') =>
    app().call(
      'GET',
      `/api/v1/robots/${encodeURIComponent(robotId)}/token${search}`,
      undefined,
      token,
    );
  async function keyOf(key: object): Promise<string> {
    const { json } = await app().call('POST', '/api/v1/keys', { name: 'k', ...key });
    return json.data.key;
  }
  beforeAll(async () => {
    for (const robot_id of ['r 1', 'r2']) {
      await app().call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
    }
  });

  it('let an account watch, for an hour, by the development keys', async () => {
    const before = Math.floor(Date.now() / 1_000);
    const answer = await get();
    const { account_id } = app().admin;
    expectData(answer, {
      ...{ token: expect.any(String), host: DEVELOPMENT.host, room: 'r 1' },
      ...{ identity: account_id, can_publish: false, expires_at: INSTANT },
    });
    const claims = await claimsOf(answer);
    expect(claims).toEqual({
      ...{ iss: 'devkey', sub: account_id, nbf: expect.any(Number), exp: expect.any(Number) },
      video: {
        ...{ room: 'r 1', roomJoin: true },
        ...{ canPublish: false, canSubscribe: true, canPublishData: true },
      },
    });
    expect(claims.exp! - before).toBeGreaterThanOrEqual(3_600);
    expect(claims.exp! - before).toBeLessThan(3_610);
    expect(Math.abs(Date.parse(answer.json.data.expires_at) - claims.exp! * 1_000)).toBeLessThan(
      2_000,
    );
  });

  it('bear the identity that was asked for, and publish when the account asks', async () => {
    const answer = await get('?identity=cam%20ä&publish=true');
    expect(answer.json.data).toMatchObject({ identity: 'cam ä', can_publish: true });
    expect(await claimsOf(answer)).toMatchObject({ sub: 'cam ä', video: { canPublish: true } });
    for (const search of ['?identity=', '?publish=false']) {
      expect((await get(search)).json.data).toMatchObject({
        ...{ identity: app().admin.account_id, can_publish: false },
      });
    }
    expect((await get('?identity=robot:r2&publish=true')).status).toBe(200);
  });

  it("let a robot's own key publish, under the robot's name alone", async () => {
    const key = await keyOf({ robot_id: 'r 1' });
    const answer = await get('', key);
    expect(answer.json.data).toMatchObject({ identity: 'robot:r 1', can_publish: true });
    expect(await claimsOf(answer)).toMatchObject({
      ...{ sub: 'robot:r 1', video: { room: 'r 1', canPublish: true } },
    });
    expect((await get('?identity=robot:r%201', key)).status).toBe(200);
    expectFailure(
      await get('?identity=somebody', key),
      403,
      "A robot's own key streams as robot:r 1; leave identity out",
    );
    expectFailure(await get('', key, 'r2'), 403, 'Access denied');
  });

  it('let a scoped key watch and no more', async () => {
    const key = await keyOf({ scopes: ['streams:read'] });
    expect((await claimsOf(await get('?identity=tv', key))).video).toMatchObject({
      ...{ canPublish: false, canSubscribe: true },
    });
    expectFailure(
      await get('?publish=true', key),
      403,
      "Only the account or the robot's own key may publish",
    );
    expectFailure(
      await get('?identity=robot:r%201', key),
      403,
      'Identities that begin with robot: are for robots',
    );
    expectFailure(
      await get('', await keyOf({ scopes: ['status:read'] })),
      403,
      'This key lacks the scope streams:read',
    );
  });

  it('end no later than the key they were asked for with', async () => {
    const key = await keyOf({ scopes: ['streams:read'], expires_in_seconds: 60 });
    const { exp } = await claimsOf(await get('', key));
    expect(exp! - Date.now() / 1_000).toBeGreaterThan(50);
    expect(exp! - Date.now() / 1_000).toBeLessThanOrEqual(60);
  });

  it.each([
    `identity=${'x'.repeat(129)}`,
    'identity=a%00b',
    'identity=a%0Ab',
    'publish=yes',
    'publish=1',
  ])('refuse ?%.20s', async (search) => {
    expectFailure(await get(`?${search}`), 400, /^(identity|publish): /);
  });

  it('are for robots that are there', async () => {
    expectFailure(await get('', undefined, 'nobody'), 404, 'Robot not found');
    const { token } = await app().addAccount();
    expectFailure(await get('', token), 403, 'Access denied');
  });

  it('come through tRPC too', async () => {
    const { streaming } = connect(app(), app().admin.token);
    const made = await streaming.token.query({ robot_id: 'r 1', identity: 'me', publish: true });
    expect(made).toEqual({
      ...{ token: expect.any(String), host: DEVELOPMENT.host, room: 'r 1' },
      ...{ identity: 'me', can_publish: true, expires_at: INSTANT },
    });
    expect(await new TokenVerifier('devkey', 'secret').verify(made.token)).toMatchObject({
      sub: 'me',
    });
    expect(await replyOf(streaming.token.query({ robot_id: 'nobody' }))).toEqual({
      status: 404,
      error: 'Robot not found',
    });
    expect(
      await replyOf(streaming.token.query({ robot_id: 'r 1', identity: 'a\u0000' })),
    ).toMatchObject({ status: 400 });
  });
});

describe.each(sqlite)('streaming tokens by configuration', (kind) => {
  async function getFrom(config: Parameters<typeof startApp>[1]) {
    const { call } = await startApp(kind, config);
    await call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    return call('GET', '/api/v1/robots/r1/token');
  }

  it('are signed with the keys and live as long as configured', async () => {
    const own = { key: 'own key', secret: 'own secret', host: 'wss://live.example.com' };
    const answer = await getFrom({
      config: {
        server: { environment: 'production' },
        livekit: {
          ...{ api_key: own.key, api_secret: own.secret, host: own.host },
          default_token_ttl: 90_000,
        },
      },
    });
    expect(answer.json.data.host).toBe(own.host);
    const { exp, iss } = await claimsOf(answer, own);
    expect(iss).toBe(own.key);
    expect(exp! - Date.now() / 1_000).toBeGreaterThan(80);
    expect(exp! - Date.now() / 1_000).toBeLessThanOrEqual(90);
    await expect(claimsOf(answer)).rejects.toThrow();
    expect(answer.text).not.toContain(own.secret);
  });

  it('are a 503 where LiveKit is not configured', async () => {
    const config = { livekit: { api_key: '', api_secret: '', host: '' } };
    expectFailure(
      await getFrom({ config }),
      503,
      'LiveKit is not configured on this server; its operator must set livekit.host, livekit.api_key and livekit.api_secret',
    );
  });
});
