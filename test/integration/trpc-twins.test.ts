import { describe, expect, it } from 'vitest';
import { appRouter } from '../../src/routers/index.js';
import { startApp, type TestApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { jpeg } from '../support/jpeg.js';
import { MAP_YAML, mapFixture } from '../support/maps.js';
import { comparable, type Received, type Sent, send, wayOf } from '../support/trpc-twins.js';

const sqlite = testDatabases.filter(({ dialect }) => dialect === 'sqlite');
const OURS = { fast_trpc: true, compiled_procedures: true };
const LIBRARY = { fast_trpc: false, compiled_procedures: false };

interface Step {
  procedure: string;
  input: object | undefined;
  /** What of the answer later steps need, by its member. */
  keep?: Record<string, string>;
}

const robot_id = 'r1';
const email = 'new@example.com';

/** What is said in a session of a room, of which there is none here. */
const SIGNALS = [
  ...['enter', 'leave', 'createTransport', 'connectTransport', 'restartIce', 'produce'],
  ...['closeTrack', 'pauseTrack', 'resumeTrack', 'consume', 'pauseConsumer', 'resumeConsumer'],
  ...['closeConsumer', 'setPreferredLayers'],
];

/** Every query and mutation, in an order in which each has what it needs. `ids` are those of the answers so far. */
function tour(ids: Record<string, string>): (() => Step)[] {
  const is = (procedure: string, input?: object, keep?: Step['keep']) => () => ({
    ...{ procedure, input, ...(keep && { keep }) },
  });
  const later = (procedure: string, input: () => object) => () => ({ procedure, input: input() });
  const alert = { robot_id, alert_type: 't', severity: 'warning', message: 'm' };
  const schema = { type: 'object', properties: { n: { type: 'number' } } };
  const rule = { name: 'low', robot_id, condition: 'battery_level < 20', severity: 'error' };
  const target = 'http://127.0.0.1:9/hook';
  const pgm = mapFixture('binary.pgm').toString('base64');
  return [
    ...[is('system.health'), is('system.version'), is('system.config')],
    is('auth.sendCode', { email }),
    is('auth.register', { email, password: 'a good password' }),
    is('auth.login', { username: email, password: 'a good password' }),
    ...[is('auth.whoami'), is('robots.list')],
    is('robots.register', { robot_id, robot_type: 'x' }),
    is('robots.get', { robot_id }),
    is('robots.update', { robot_id, robot_name: 'R' }),
    is('status.push', { robot_id, status: { battery_level: '85', n: 1 } }),
    is('status.pushBatch', { robot_id, samples: [{ status: { n: 2 } }, 'nonsense'] }),
    is('status.latest', { robot_id }),
    is('status.history', { robot_id, limit: 1 }),
    is('status.trajectory', { robot_id }),
    is('logs.push', { robot_id, topic: 't', message: 'm' }),
    is('logs.pushBatch', { robot_id, logs: [{ topic: 't', message: 'n' }, 1] }),
    is('logs.list', { robot_id }),
    ...[is('schemas.list'), is('schemas.get', { schema_id: 'nothing' })],
    is('messageSchemas.create', { id: 'odo', title: 'O', schema, example: { n: 1 } }),
    is('messageSchemas.update', { schema_id: 'odo', title: 'Wheels' }),
    is('messages.push', { robot_id, schema_id: 'odo', payload: { n: 1 } }),
    is('messages.list', { robot_id, schema_id: 'odo' }),
    is('messageSchemas.delete', { schema_id: 'odo' }),
    is('alerts.submit', alert, { alert_id: 'alert' }),
    is('alerts.list', {}),
    later('alerts.get', () => ({ alert_id: ids.alert })),
    later('alerts.acknowledge', () => ({ alert_id: ids.alert })),
    later('alerts.resolve', () => ({ alert_id: ids.alert })),
    is('alertRules.create', rule, { id: 'rule' }),
    is('alertRules.list'),
    later('alertRules.get', () => ({ rule_id: ids.rule })),
    later('alertRules.update', () => ({ rule_id: ids.rule, enabled: false })),
    later('alertRules.delete', () => ({ rule_id: ids.rule })),
    is('actions.create', { name: 'wave', robot_types: ['x'] }, { id: 'action' }),
    ...[is('actions.list'), is('actions.all')],
    later('actions.get', () => ({ action_id: ids.action })),
    later('actions.update', () => ({ action_id: ids.action, description: 'd' })),
    is('commands.send', { robot_id, action: 'wave' }, { command_id: 'command' }),
    later('commands.get', () => ({ robot_id, command_id: ids.command })),
    is('commands.list', { robot_id }),
    is('commands.next', { robot_id, wait: 0 }),
    later('commands.ack', () => ({ robot_id, command_id: ids.command, status: 'completed' })),
    later('commands.cancel', () => ({ robot_id, command_id: ids.command })),
    is('commands.stop', { robot_id, reason: 'a person' }),
    is('commands.clearStop', { robot_id }),
    is('commands.stopFleet', { reason: 'fire' }),
    is('commands.clearFleetStop'),
    later('actions.delete', () => ({ action_id: ids.action })),
    is('keys.create', { name: 'k', scopes: ['status:read'] }, { id: 'key' }),
    is('keys.list'),
    later('keys.rotate', () => ({ key_id: ids.key })),
    later('keys.revoke', () => ({ key_id: ids.key })),
    is('maps.upload', { yaml: MAP_YAML, pgm, file_name: 'o.pgm', robot_id }, { map_id: 'map' }),
    is('maps.list', {}),
    later('maps.get', () => ({ map_id: ids.map })),
    is('maps.latest', {}),
    later('maps.setActive', () => ({ robot_id, map_id: ids.map })),
    is('maps.active', { robot_id }),
    later('maps.image', () => ({ map_id: ids.map })),
    later('maps.delete', () => ({ map_id: ids.map })),
    is('notifications.create', { name: 'c', kind: 'webhook', target }, { id: 'channel' }),
    is('notifications.list'),
    later('notifications.get', () => ({ channel_id: ids.channel })),
    later('notifications.update', () => ({ channel_id: ids.channel, min_severity: 'error' })),
    later('notifications.rotateSecret', () => ({ channel_id: ids.channel })),
    later('notifications.deliveries', () => ({ channel_id: ids.channel })),
    later('notifications.test', () => ({ channel_id: ids.channel })),
    is('notifications.retry', { delivery_id: '9' }),
    later('notifications.delete', () => ({ channel_id: ids.channel })),
    is('rooms.create', undefined, { room_id: 'room' }),
    later('rooms.get', () => ({ room_id: ids.room })),
    is('media.join', { room_id: 'nosuchroom' }),
    ...SIGNALS.map((name) => is(`media.${name}`, { session_id: 'nosuchsession' })),
    is('streaming.token', { robot_id, identity: 'me' }),
    is('streams.ticket'),
    ...[is('video.streams', { robot_id }), is('video.snapshot', { robot_id })],
    is('video.pushFrame', { robot_id, jpeg: Buffer.from(jpeg()).toString('base64') }),
    is('video.openRtp', { robot_id, kind: 'video', codec: 'VP8' }),
    is('video.closeRtp', { robot_id, track_id: 'none' }),
    ...['whip', 'whep'].flatMap((name) => [
      is(`${name}.open`, { robot_id, sdp: 'v=0' }),
      is(`${name}.patch`, { robot_id, session_id: 'none', fragment: '' }),
      is(`${name}.end`, { robot_id, session_id: 'none' }),
    ]),
    is('robots.delete', { robot_id, confirm: robot_id }),
    is('audit.list', { limit: 100 }),
  ];
}

const procedures = Object.entries(appRouter._def.procedures) as unknown as [
  string,
  { _def: { type: 'query' | 'mutation' | 'subscription' } },
][];
/** What cannot succeed here: it was asked a moment ago, is there already, is not there, or is done. */
const REFUSED = [
  ...['auth.sendCode 429', 'auth.register 409', 'schemas.get 404', 'commands.cancel 409'],
  ...['notifications.retry 404', 'media.join 404'],
  ...SIGNALS.map((name) => `media.${name} 404`),
  ...['video.snapshot 404', 'video.openRtp 403', 'video.closeRtp 404'],
  ...['whip.open 400', 'whip.patch 404', 'whip.end 404'],
  ...['whep.open 400', 'whep.patch 404', 'whep.end 404'],
];

const typeOf = new Map(procedures.map(([path, { _def }]) => [path, _def.type]));

function requestOf({ procedure, input }: Step, token?: string): Sent {
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const json = JSON.stringify(input);
  if (typeOf.get(procedure) === 'mutation') {
    headers['content-type'] = 'application/json';
    return { method: 'POST', path: `/trpc/${procedure}`, headers, body: json ?? '' };
  }
  const query = json === undefined ? '' : `?input=${encodeURIComponent(json)}`;
  return { path: `/trpc/${procedure}${query}`, headers };
}

const portOf = ({ url }: TestApp) => Number(new URL(url).port);
const RANDOM = /^[\w.~+/=-]{10,}$/;

/** Where both hold random text of the same length, ids and keys, there is the same word. */
function masked(one: unknown, other: unknown): [unknown, unknown] {
  if (typeof one === 'string' && typeof other === 'string') {
    const isRandom = one.length === other.length && RANDOM.test(one) && RANDOM.test(other);
    if (isRandom) return ['<random>', '<random>'];
    const urls = [one, other].map((text) =>
      text.replace(/:\d+\/room\/[\w?=-]+|\/[\w-]{36}\//, '<address>'),
    );
    return [urls[0], urls[1]];
  }
  if (typeof one !== 'object' || typeof other !== 'object' || !one || !other) return [one, other];
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  const pairs = [...keys].map(
    (key) => [key, masked(Reflect.get(one, key), Reflect.get(other, key))] as const,
  );
  return [
    Object.fromEntries(pairs.map(([key, [value]]) => [key, value])),
    Object.fromEntries(pairs.map(([key, [, value]]) => [key, value])),
  ];
}

function expectSame(name: string, [one, other]: Received[]): void {
  const [first, second] = masked(JSON.parse(one!.text), JSON.parse(other!.text));
  expect([name, one!.status, first]).toEqual([name, other!.status, second]);
  expect([wayOf(one!), wayOf(other!)]).toEqual(['fast', 'library']);
}

async function startTwins(config: Parameters<typeof startApp>[1] = {}) {
  const [kind] = sqlite;
  if (!kind) throw new Error('SQLite is one of the databases');
  const clock = createStoppedClock();
  const start = (http: typeof OURS) =>
    startApp(kind, { ...config, clock, config: { ...config.config, http } });
  return [await start(OURS), await start(LIBRARY)] as const;
}

describe('every operation, compiled and by the library', () => {
  it('answers the same: to nobody, to a stranger, to a wrong input, and as it should be called', async () => {
    const twins = await startTwins({
      config: {
        features: { registration_enabled: true, email_verification_required: false },
        notifications: { allow_private_targets: true },
        media: { rtc_port: 0, workers: 1, listen_ip: '127.0.0.1' },
      },
    });
    const sides = twins.map((app) => {
      const ids: Record<string, string> = {};
      return { port: portOf(app), token: app.admin.token, ids, steps: tour(ids) };
    });
    const visited = new Set<string>();
    const refused: string[] = [];
    for (const index of tour({}).keys()) {
      const steps = sides.map((side) => ({ ...side, step: side.steps[index]!() }));
      const { procedure } = steps[0]!.step;
      const answers = (sent: (side: (typeof steps)[0]) => Sent) =>
        Promise.all(steps.map((side) => send(side.port, sent(side))));
      expectSame(procedure, await answers(({ step }) => requestOf(step)));
      expectSame(procedure, await answers(({ step }) => requestOf(step, 'wrong')));
      expectSame(
        procedure,
        await answers(({ step, token }) => requestOf({ ...step, input: [7] }, token)),
      );
      const right = await answers(({ step, token }) => requestOf(step, token));
      expectSame(procedure, right);
      for (const [at, { step, ids }] of steps.entries()) {
        const data = JSON.parse(right[at]!.text).result?.data;
        for (const [member, name] of Object.entries(step.keep ?? {})) ids[name] = data[member];
      }
      visited.add(procedure);
      if (right[0]!.status !== 200) refused.push(`${procedure} ${right[0]!.status}`);
    }
    const callable = [...typeOf].filter(([, type]) => type !== 'subscription');
    expect([...visited].toSorted()).toEqual(callable.map(([path]) => path).toSorted());
    expect(refused).toEqual(REFUSED);
  }, 60_000);
});

describe('what concerns all operations, by the fast path and by the library', () => {
  it('is the same: scopes, robots of others, pages of browsers, bodies that are refused', async () => {
    const twins = await startTwins({
      config: { server: { cors_origins: ['https://example.com'] } },
    });
    const known = await Promise.all(
      twins.map(async (app) => {
        await app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
        const { json } = await app.call('POST', '/api/v1/keys', {
          name: 'k',
          scopes: ['logs:read'],
        });
        return { port: portOf(app), key: json.data.key, other: (await app.addAccount()).token };
      }),
    );
    const both = (sent: (side: (typeof known)[0]) => Sent) =>
      Promise.all(known.map((side) => send(side.port, sent(side))));
    const get = { procedure: 'robots.get', input: { robot_id } };
    const ask = async (sent: Parameters<typeof both>[0], status: number) => {
      const [one, other] = await both(sent);
      expect(comparable(one!)).toEqual(comparable(other!));
      expect(one!.status).toBe(status);
      return one!;
    };
    await ask(({ key }) => requestOf(get, key), 403);
    await ask(({ other }) => requestOf(get, other), 403);
    const origin = { origin: 'https://example.com' };
    const page = await ask(() => ({ path: '/trpc/system.version', headers: origin }), 200);
    expect(page.headers['access-control-allow-origin']).toBe(origin.origin);
    const preflight = { ...origin, 'access-control-request-method': 'POST' };
    await ask(() => ({ method: 'OPTIONS', path: '/trpc/robots.list', headers: preflight }), 204);
    await ask(() => ({ path: '/trpc/system.version/' }), 200);
    await ask(() => ({ method: 'HEAD', path: '/trpc/system.version' }), 404);
    await ask(() => ({ path: '/k/wrong/trpc/robots.list' }), 401);
    await ask(({ key }) => ({ path: `/k/${key}/trpc/system.version?input=1` }), 200);
  });

  it('is the same: limits, within a batch too', async () => {
    const twins = await startTwins({
      config: { features: { rate_limiting_enabled: true }, limits: { requests_per_second: 5 } },
    });
    const [one, other] = await Promise.all(
      twins.map(async (app) => {
        const path = `/trpc/${Array(8).fill('robots.list').join(',')}?batch=1`;
        const headers = { authorization: `Bearer ${app.admin.token}` };
        return send(portOf(app), { path, headers });
      }),
    );
    const settled = ({ text, ...answer }: Received) => ({
      ...answer,
      text: text.replace(/"retry_after_ms":\d+/g, '"retry_after_ms":0'),
    });
    expect(comparable(settled(one!))).toEqual(comparable(settled(other!)));
    expect(one).toMatchObject({ status: 207, headers: { 'retry-after': '1' } });
    expect(one!.text.match(/"httpStatus":429/g)).toHaveLength(3);
    expect([one, other].map((answer) => wayOf(answer!))).toEqual(['fast', 'library']);
  });

  it('is the same over REST', async () => {
    const twins = await startTwins();
    const robots = '/api/v1/robots';
    for (const [method, path, body] of [
      ['POST', robots, { robot_id, robot_type: 'x' }],
      ['POST', robots, { robot_id, robot_type: 'x' }],
      ['POST', robots, { robot_id: 'a/b' }],
      ['POST', robots, '{'],
      ['GET', robots],
      ['GET', `${robots}/${robot_id}`],
      ['GET', `${robots}/nobody`],
      ['PUT', `${robots}/${robot_id}`, { robot_name: 'R' }],
      ['GET', `${robots}/${robot_id}/logs?limit=0`],
      ['POST', `${robots}/${robot_id}/control`, { action: 'nothing' }],
      ['DELETE', `${robots}/${robot_id}`, {}],
    ] as const) {
      const [one, other] = await Promise.all(twins.map((app) => app.call(method, path, body)));
      expect([method, path, one!.status, masked(one!.json, other!.json)[0]]).toEqual([
        ...[method, path, other!.status, masked(one!.json, other!.json)[1]],
      ]);
    }
  });
});
