import { expect, it } from 'vitest';
import type { AuditEntry } from '../../src/contract/audit.js';
import { openDatabase } from '../../src/db/client.js';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';
import { appRouter } from '../../src/routers/index.js';
import type { ProcedureMeta } from '../../src/routers/trpc.js';
import { call, startApp, type TestApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { MAP_YAML, mapFixture, mapForm } from '../support/maps.js';
import { until } from '../support/until.js';

type Door = 'rest' | 'trpc';
/** One operation: its procedure and input, and where REST has it. `ids` are those of the answers so far. */
interface Stop {
  procedure: string;
  rest: [method: string, path: string, body?: object];
  input: object;
  /** What its entry says beside who, where and how. */
  entry: Partial<AuditEntry> & { action: string };
  /** What of the answer later operations need, by its member. */
  keep?: Record<string, string>;
}

const SECRETS = ['secret-of-newcomer', 'secret-parameter', 'secret-target', 'secret-default'];

/** Every operation that is kept, in an order in which each has what it needs. */
function tour(door: Door, ids: Record<string, string>): (() => Stop)[] {
  const robot_id = `robot-${door}`;
  const robot = `/robots/${robot_id}`;
  const email = `newcomer-${door}@example.com`;
  const password = 'secret-of-newcomer';
  const target = 'https://hooks.example.com/?token=secret-target';
  const condition = 'battery_level < 20';
  const schema = { type: 'object', properties: { pin: { default: 'secret-default' } } };
  const parameters = { pin: 'secret-parameter' };
  const of = (entry: Stop['entry'], rest: Stop['rest'], procedure: string, input = {}) => ({
    ...{ procedure, rest, entry, input: { ...rest[2], ...input } },
  });
  return [
    () =>
      of(
        { action: 'auth.register' },
        ['POST', '/auth/register', { email, password }],
        'auth.register',
      ),
    () =>
      of(
        { action: 'auth.login' },
        ['POST', '/auth/login', { username: email, password }],
        'auth.login',
      ),
    () =>
      of(
        { action: 'robot.register', robot_id, details: { robot_type: 'x' } },
        ['POST', '/robots', { robot_id, robot_type: 'x' }],
        'robots.register',
      ),
    () =>
      of(
        { action: 'robot.update', robot_id, details: { robot_name: 'R' } },
        ['PUT', robot, { robot_name: 'R' }],
        'robots.update',
        { robot_id },
      ),
    () => ({
      ...of(
        { action: 'key.create', details: { name: 'k' } },
        ['POST', '/keys', { name: 'k' }],
        'keys.create',
      ),
      keep: { id: 'key', key: 'secret_key' },
    }),
    () => ({
      ...of(
        { action: 'key.rotate', subject_id: ids.key!, details: { overlap_seconds: 9 } },
        ['POST', `/keys/${ids.key}/rotate`, { overlap_seconds: 9 }],
        'keys.rotate',
        { key_id: ids.key },
      ),
      keep: { key: 'secret_rotated' },
    }),
    () =>
      of(
        { action: 'key.revoke', subject_id: ids.key! },
        ['DELETE', `/keys/${ids.key}`],
        'keys.revoke',
        {
          key_id: ids.key,
        },
      ),
    () => ({
      ...of(
        { action: 'action.create', details: { name: 'wave', robot_types: ['x'] } },
        ['POST', '/actions', { name: 'wave', robot_types: ['x'], parameters_schema: schema }],
        'actions.create',
      ),
      keep: { id: 'action' },
    }),
    () =>
      of(
        { action: 'action.update', subject_id: ids.action! },
        ['PUT', `/actions/${ids.action}`, { description: 'secret-default' }],
        'actions.update',
        { action_id: ids.action },
      ),
    () => ({
      ...of(
        { action: 'command.send', robot_id, details: { action: 'wave', ttl_seconds: 30 } },
        ['POST', `${robot}/control`, { action: 'wave', parameters, ttl_seconds: 30 }],
        'commands.send',
        { robot_id },
      ),
      keep: { command_id: 'command' },
    }),
    () =>
      of(
        { action: 'command.cancel', robot_id, subject_id: ids.command! },
        ['POST', `${robot}/control/${ids.command}/cancel`],
        'commands.cancel',
        { robot_id, command_id: ids.command },
      ),
    () =>
      of(
        { action: 'action.delete', subject_id: ids.action! },
        ['DELETE', `/actions/${ids.action}`],
        'actions.delete',
        { action_id: ids.action },
      ),
    () =>
      of(
        { action: 'robot.stop', robot_id, details: { reason: 'a person' } },
        ['POST', `${robot}/stop`, { reason: 'a person' }],
        'commands.stop',
        { robot_id },
      ),
    () =>
      of(
        { action: 'robot.clear_stop', robot_id },
        ['POST', `${robot}/stop/clear`],
        'commands.clearStop',
        { robot_id },
      ),
    () =>
      of(
        { action: 'fleet.stop', details: { reason: 'fire', robots: 1 } },
        ['POST', '/fleet/stop', { reason: 'fire' }],
        'commands.stopFleet',
      ),
    () =>
      of(
        { action: 'fleet.clear_stop', details: { robots: 1 } },
        ['POST', '/fleet/stop/clear'],
        'commands.clearFleetStop',
      ),
    () =>
      of(
        { action: 'alert.acknowledge', robot_id, subject_id: ids.alert! },
        ['POST', `/alerts/${ids.alert}/acknowledge`],
        'alerts.acknowledge',
        { alert_id: ids.alert },
      ),
    () =>
      of(
        { action: 'alert.resolve', robot_id, subject_id: ids.alert! },
        ['POST', `/alerts/${ids.alert}/resolve`],
        'alerts.resolve',
        { alert_id: ids.alert },
      ),
    () => ({
      ...of(
        { action: 'rule.create', robot_id, details: { name: 'low', condition, severity: 'error' } },
        ['POST', '/alert-rules', { name: 'low', robot_id, condition, severity: 'error' }],
        'alertRules.create',
      ),
      keep: { id: 'rule' },
    }),
    () =>
      of(
        { action: 'rule.update', robot_id, subject_id: ids.rule!, details: { enabled: false } },
        ['PUT', `/alert-rules/${ids.rule}`, { enabled: false }],
        'alertRules.update',
        { rule_id: ids.rule },
      ),
    () =>
      of(
        { action: 'rule.delete', subject_id: ids.rule! },
        ['DELETE', `/alert-rules/${ids.rule}`],
        'alertRules.delete',
        { rule_id: ids.rule },
      ),
    () => ({
      ...of(
        { action: 'channel.create', details: { name: 'c', kind: 'webhook' } },
        ['POST', '/notification-channels', { name: 'c', kind: 'webhook', target }],
        'notifications.create',
      ),
      keep: { id: 'channel', secret: 'secret_channel' },
    }),
    () =>
      of(
        { action: 'channel.update', subject_id: ids.channel!, details: { enabled: true } },
        ['PUT', `/notification-channels/${ids.channel}`, { enabled: true, target }],
        'notifications.update',
        { channel_id: ids.channel },
      ),
    () => ({
      ...of(
        { action: 'channel.rotate_secret', subject_id: ids.channel! },
        ['POST', `/notification-channels/${ids.channel}/rotate-secret`],
        'notifications.rotateSecret',
        { channel_id: ids.channel },
      ),
      keep: { secret: 'secret_channel_rotated' },
    }),
    () => ({
      ...of(
        { action: 'channel.test', subject_id: ids.channel! },
        ['POST', `/notification-channels/${ids.channel}/test`],
        'notifications.test',
        { channel_id: ids.channel },
      ),
      keep: { id: 'delivery' },
    }),
    () =>
      of(
        { action: 'delivery.retry', subject_id: ids.delivery! },
        ['POST', `/notification-deliveries/${ids.delivery}/retry`],
        'notifications.retry',
        { delivery_id: ids.delivery },
      ),
    () =>
      of(
        { action: 'channel.delete', subject_id: ids.channel! },
        ['DELETE', `/notification-channels/${ids.channel}`],
        'notifications.delete',
        { channel_id: ids.channel },
      ),
    () =>
      of(
        { action: 'schema.create', subject_id: `odo-${door}`, details: { title: 'Odometry' } },
        ['POST', '/schemas', { id: `odo-${door}`, title: 'Odometry', schema, example: {} }],
        'messageSchemas.create',
      ),
    () =>
      of(
        { action: 'schema.update', subject_id: `odo-${door}`, details: { title: 'Wheels' } },
        ['PUT', `/schemas/odo-${door}`, { title: 'Wheels' }],
        'messageSchemas.update',
        { schema_id: `odo-${door}` },
      ),
    () =>
      of(
        { action: 'schema.delete', subject_id: `odo-${door}` },
        ['DELETE', `/schemas/odo-${door}`],
        'messageSchemas.delete',
        { schema_id: `odo-${door}` },
      ),
    () => ({
      ...of(
        { action: 'map.upload', robot_id, details: { file_name: 'office.pgm' } },
        ['POST', '/map/upload', mapForm({ robot_id })],
        'maps.upload',
        {
          ...{ yaml: MAP_YAML, pgm: mapFixture('binary.pgm').toString('base64') },
          ...{ file_name: 'office.pgm', robot_id },
        },
      ),
      keep: { map_id: 'map' },
    }),
    () =>
      of(
        { action: 'robot.set_map', robot_id, details: { map_id: ids.map! } },
        ['POST', `${robot}/map`, { map_id: ids.map }],
        'maps.setActive',
        { robot_id },
      ),
    () =>
      of(
        { action: 'map.delete', subject_id: ids.map! },
        ['DELETE', `/map/${ids.map}`],
        'maps.delete',
        { map_id: ids.map },
      ),
    () => ({
      ...of(
        { action: 'streaming.token', robot_id, details: { identity: 'me' } },
        ['GET', `${robot}/token?identity=me`],
        'streaming.token',
        { robot_id, identity: 'me' },
      ),
      keep: { token: 'secret_token' },
    }),
    () =>
      of(
        { action: 'robot.delete', robot_id },
        ['DELETE', robot, { confirm: robot_id }],
        'robots.delete',
        { robot_id },
      ),
  ];
}

const procedures = Object.entries(appRouter._def.procedures) as unknown as [
  string,
  { _def: { meta: ProcedureMeta; type: string } },
][];

/** Calls an operation through a door; its data, or the code of its refusal. */
async function visit({ url }: TestApp, door: Door, stop: Stop, token: string) {
  const headers = { authorization: `Bearer ${token}` };
  if (door === 'rest') {
    const [method, path, body] = stop.rest;
    const { json } =
      body instanceof FormData
        ? { json: await (await fetch(`${url}/api/v1${path}`, { method, headers, body })).json() }
        : await call(`${url}/api/v1${path}`, method, body, token);
    return json.success ? { outcome: 'ok', data: json.data } : { outcome: json.code, data: {} };
  }
  const type = procedures.find(([path]) => path === stop.procedure)?.[1]._def.type;
  const input = encodeURIComponent(JSON.stringify(stop.input));
  const address = `${url}/trpc/${stop.procedure}`;
  const { json } =
    type === 'query'
      ? await call(`${address}?input=${input}`, 'GET', undefined, token)
      : await call(address, 'POST', stop.input, token);
  return json.error
    ? { outcome: json.error.data.reason, data: {} }
    : { outcome: 'ok', data: json.result.data };
}

describeEachDatabase('a tour through everything that is audited', (kind) => {
  it('leaves one entry for each operation through each door, and no secret', async () => {
    const database = await kind.create();
    const app = await startApp(database, {
      config: { features: { registration_enabled: true, email_verification_required: false } },
    });
    const seen = new Set<string>();
    const secrets = new Set(SECRETS);
    for (const door of ['rest', 'trpc'] as const) {
      const ids: Record<string, string> = {};
      let token = '';
      let lastId = 0;
      for (const next of tour(door, ids)) {
        if (seen.size > 0 && ids.alert === undefined && token) {
          // For what happens to alerts there must be one; robots raise them, which is not kept.
          const alert = { alert_type: 't', severity: 'info', message: 'm' };
          const path = `/api/v1/robots/robot-${door}/alert`;
          const raised = await call(`${app.url}${path}`, 'POST', alert, token);
          ids.alert = raised.json.data?.alert_id;
        }
        const stop = next();
        const { outcome, data } = await visit(app, door, stop, token);
        token ||= data.certification_key;
        ids.account ??= data.account_id;
        for (const [member, name] of Object.entries(stop.keep ?? {})) {
          expect([stop.procedure, data[member]]).toEqual([stop.procedure, expect.any(String)]);
          ids[name] = data[member];
        }
        seen.add(stop.procedure);
        const added = await until(`the entry of ${stop.procedure}`, async () => {
          const { json } = await call(`${app.url}/api/v1/audit?limit=10`, 'GET', undefined, token);
          const news = json.data.entries.filter(({ id }: AuditEntry) => id > lastId);
          return news.length > 0 && news;
        });
        const noun = stop.entry.action.split('.')[0] ?? '';
        const ownId =
          noun === 'auth' ? ids.account : noun === 'robot' ? `robot-${door}` : ids[noun];
        expect(added).toEqual([
          {
            ...{ id: expect.any(Number), created_at: expect.any(String), door, ip: '127.0.0.1' },
            ...{ actor_kind: 'account', actor_id: ids.account, outcome },
            ...{ robot_id: null, subject_id: ownId ?? null, details: null, ...stop.entry },
          },
        ]);
        // A delivery that is under way cannot be retried; everything else must work here.
        if (stop.procedure !== 'notifications.retry') expect(outcome).toBe('ok');
        lastId = added[0].id;
      }
      for (const [name, value] of Object.entries(ids))
        if (name.startsWith('secret')) secrets.add(value);
      secrets.add(token);
    }
    // What other APIs alone have is visited with them.
    const ofFleet = new Set<string>(kairoio.rows.map(({ procedure }) => procedure));
    const audited = procedures.filter(
      ([path, { _def }]) => _def.meta.audit !== undefined && ofFleet.has(path),
    );
    expect([...seen].toSorted()).toEqual(audited.map(([path]) => path).toSorted());

    const { db, close } = await openDatabase(database.config);
    const rows = await db.selectFrom('audit_entries').selectAll().execute();
    await close();
    expect(rows.length).toBeGreaterThanOrEqual(2 * seen.size);
    const text = JSON.stringify(rows);
    expect(secrets.size).toBe(SECRETS.length + 12);
    for (const secret of secrets) expect(text).not.toContain(secret);
  });

  it('is all there is: whatever else changes something is telemetry, or says why it is not kept', () => {
    const unkept = procedures
      .filter(([, { _def }]) => _def.type === 'mutation' && _def.meta.audit === undefined)
      .map(([path]) => path);
    expect(unkept.toSorted()).toEqual(
      [
        // Telemetry, and what robots say.
        ...['status.push', 'status.pushBatch', 'logs.push', 'logs.pushBatch', 'messages.push'],
        ...['alerts.submit', 'commands.ack'],
        // A mail that changes nothing, and a key to one stream for a minute, with the caller's own rights.
        ...['auth.sendCode', 'streams.ticket'],
      ].toSorted(),
    );
  });
});
