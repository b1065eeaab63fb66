import { describe, expect, it, onTestFinished } from 'vitest';
import { startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { INSTANT } from '../support/rest.js';
import { startSmtp } from '../support/smtp.js';
import { connect, type Reply, replyOf } from '../support/trpc-client.js';
import { until } from '../support/until.js';
import { isSignedWith, startReceiver } from '../support/webhook-receiver.js';

type Fields = Record<string, unknown>;

/** The operations through one of the doors. */
interface Door {
  create(channel: Fields): Promise<Reply>;
  list(): Promise<Reply>;
  get(id: string): Promise<Reply>;
  update(id: string, changes: Fields): Promise<Reply>;
  remove(id: string): Promise<Reply>;
  rotate(id: string): Promise<Reply>;
  test(id: string): Promise<Reply>;
  deliveries(query?: Fields): Promise<Reply>;
  retry(id: string): Promise<Reply>;
}

function restDoor(app: TestApp, token: string): Door {
  const channels = '/api/v1/notification-channels';
  const sent = '/api/v1/notification-deliveries';
  async function send(method: string, path: string, body?: unknown): Promise<Reply> {
    const { status, json } = await app.call(method, path, body, token);
    return json.success ? { status, data: json.data } : { status, error: json.error };
  }
  return {
    create: (channel) => send('POST', channels, channel),
    list: () => send('GET', channels),
    get: (id) => send('GET', `${channels}/${id}`),
    update: (id, changes) => send('PUT', `${channels}/${id}`, changes),
    remove: (id) => send('DELETE', `${channels}/${id}`),
    rotate: (id) => send('POST', `${channels}/${id}/rotate-secret`),
    test: (id) => send('POST', `${channels}/${id}/test`),
    deliveries: (query = {}) =>
      send('GET', `${sent}?${new URLSearchParams(query as Record<string, string>)}`),
    retry: (id) => send('POST', `${sent}/${id}/retry`),
  };
}

function trpcDoor(app: TestApp, token: string): Door {
  const { notifications } = connect(app, token);
  return {
    create: (channel) => replyOf(notifications.create.mutate(channel as never)),
    list: () => replyOf(notifications.list.query()),
    get: (channel_id) => replyOf(notifications.get.query({ channel_id })),
    update: (channel_id, changes) =>
      replyOf(notifications.update.mutate({ channel_id, ...changes })),
    remove: (channel_id) => replyOf(notifications.delete.mutate({ channel_id })),
    rotate: (channel_id) => replyOf(notifications.rotateSecret.mutate({ channel_id })),
    test: (channel_id) => replyOf(notifications.test.mutate({ channel_id })),
    deliveries: (query = {}) => replyOf(notifications.deliveries.query(query)),
    retry: (delivery_id) => replyOf(notifications.retry.mutate({ delivery_id })),
  };
}

const doors = [
  ['REST', restDoor],
  ['tRPC', trpcDoor],
] as const;
const NOBODY = '00000000-0000-7000-8000-000000000000';
const ANYWHERE = 'https://hooks.example.com/fleet';

describeEachDatabase('notification channels', (kind) => {
  const app = useApp(kind, { config: { notifications: { allow_private_targets: true } } });
  const guarded = useApp(kind, { config: { server: { environment: 'production' } } });

  describe.each(doors)('through %s', (_name, doorOf) => {
    async function enter() {
      const { token } = await app().addAccount();
      return { token, ...doorOf(app(), token) };
    }

    it('are made, shown without their secret, changed and deleted', async () => {
      const { create, list, get, update, remove, rotate } = await enter();
      const made = await create({ name: 'Night', kind: 'webhook', target: ANYWHERE });
      const { secret, ...channel } = made.data;
      expect(made).toEqual({
        status: 200,
        data: {
          ...{ id: expect.any(String), name: 'Night', kind: 'webhook', target: ANYWHERE },
          ...{ min_severity: 'warning', enabled: true, created_at: INSTANT, updated_at: INSTANT },
          secret: expect.stringMatching(/^whsec_/),
        },
      });
      expect(await get(channel.id)).toEqual({ status: 200, data: channel });
      expect(await list()).toEqual({ status: 200, data: { channels: [channel], count: 1 } });

      const rotated = await rotate(channel.id);
      expect(rotated.data).toEqual({
        ...{ ...channel, updated_at: INSTANT, secret: expect.stringMatching(/^whsec_/) },
      });
      expect(rotated.data.secret).not.toBe(secret);

      const changes = { name: 'Day', min_severity: 'critical', enabled: false };
      const changed = await update(channel.id, changes);
      expect(changed.data).toEqual({ ...channel, ...changes, updated_at: INSTANT });
      expect((await update(channel.id, {})).data).toMatchObject(changes);
      expect((await get(channel.id)).data).toMatchObject({ ...changes, target: ANYWHERE });

      const done = 'Notification channel deleted successfully';
      expect(await remove(channel.id)).toEqual({
        status: 200,
        data: { message: done, channel_id: channel.id },
      });
      expect((await list()).data).toEqual({ channels: [], count: 0 });
    });

    it("are nobody else's", async () => {
      const mine = await enter();
      const theirs = await enter();
      const { id } = (await mine.create({ name: 'a', kind: 'webhook', target: ANYWHERE })).data;
      for (const where of [id, NOBODY]) {
        const answers = [
          await theirs.get(where),
          await theirs.update(where, { name: 'b' }),
          await theirs.remove(where),
          await theirs.rotate(where),
          await theirs.test(where),
        ];
        const refused = { status: 404, error: 'Notification channel not found' };
        expect(answers).toEqual(Array(5).fill(refused));
      }
      expect((await theirs.list()).data.count).toBe(0);
      expect((await mine.get(id)).data.name).toBe('a');
    });

    it('need scopes: one to look, one to change', async () => {
      const { token, create } = await enter();
      const { id } = (await create({ name: 'a', kind: 'webhook', target: ANYWHERE })).data;
      const scopes = ['alerts:read'];
      const key = await app().call('POST', '/api/v1/keys', { name: 'viewer', scopes }, token);
      const viewer = doorOf(app(), key.json.data.key);
      expect((await viewer.list()).data.count).toBe(1);
      expect((await viewer.deliveries()).status).toBe(200);
      const refusal = { status: 403, error: 'This key lacks the scope alerts:manage' };
      expect([
        await viewer.create({ name: 'a', kind: 'webhook', target: ANYWHERE }),
        await viewer.update(id, { enabled: false }),
        await viewer.remove(id),
        await viewer.rotate(id),
        await viewer.test(id),
        await viewer.retry(NOBODY),
      ]).toEqual(Array(6).fill(refusal));
    });

    it.each([
      ['webhook', 'ftp://hooks.example.com/', 'target: must be an http or https URL such as'],
      ['webhook', 'hooks.example.com', 'target: must be an http or https URL such as'],
      ['webhook', 'https://ann:secret@example.com/', 'target: must hold no user name or password'],
      ['email', 'ann at example.com', 'target: must be an e-mail address'],
      ['email', 'ann@example.com\r\nBcc: bob@example.com', 'target: must be an e-mail address'],
      ['email', 'ann@example.com', 'kind: this server cannot send mail; its operator must set'],
      ['pigeon', 'ann', 'kind: '],
    ])('refuse %s to %j', async (channelKind, target, sentence) => {
      const { create } = await enter();
      const answer = await create({ name: 'a', kind: channelKind, target });
      expect(answer).toEqual({ status: 400, error: expect.stringContaining(sentence) });
      expect(answer.error).not.toContain('secret@');
    });

    it.each([
      ...['https://127.0.0.1/', 'https://0x7f.1/', 'https://localhost/', 'https://a.localhost./'],
      ...['https://10.1.2.3/', 'https://169.254.169.254/latest', 'https://[::1]/'],
      ...['https://[fe80::1]/', 'https://[::ffff:10.0.0.1]/', 'https://[fd00::1]/'],
    ])('refuse %s unless private targets are allowed', async (target) => {
      const { token } = await guarded().addAccount();
      const door = doorOf(guarded(), token);
      const answer = await door.create({ name: 'a', kind: 'webhook', target });
      expect(answer).toEqual({
        status: 400,
        error: expect.stringMatching(/^target: must lead to an address of the open internet;/),
      });
      const { id } = (await door.create({ name: 'a', kind: 'webhook', target: ANYWHERE })).data;
      expect((await door.update(id, { target })).status).toBe(400);
      const { create } = await enter();
      expect((await create({ name: 'a', kind: 'webhook', target })).status).toBe(200);
      await door.remove(id);
    });

    it('need TLS in production', async () => {
      const { token } = await guarded().addAccount();
      const target = 'http://hooks.example.com/';
      const door = doorOf(guarded(), token);
      expect(await door.create({ name: 'a', kind: 'webhook', target })).toEqual({
        status: 400,
        error: 'target: must be an https URL',
      });
    });

    it('are at most 20 an account', async () => {
      const { create } = await enter();
      const channel = { name: 'a', kind: 'webhook', target: ANYWHERE };
      const answers = await Promise.all(Array.from({ length: 22 }, () => create(channel)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
      expect(answers.filter(({ status }) => status !== 200)).toEqual(
        Array(2).fill({
          status: 403,
          error: 'An account has at most 20 notification channels; delete one first',
        }),
      );
    });

    it('are tested the way alerts go', async () => {
      let status = 204;
      const { calls, url } = await startReceiver(() => status);
      const { create, test, deliveries, update, retry } = await enter();
      const { id, secret } = (await create({ name: 'T', kind: 'webhook', target: url })).data;
      const tested = await test(id);
      expect(tested).toEqual({
        status: 200,
        data: {
          ...{ id: expect.any(String), channel_id: id, alert_id: null, change: 'test' },
          ...{ state: 'delivered', attempts: 1, next_attempt_at: null, last_error: null },
          ...{ created_at: INSTANT, finished_at: INSTANT },
        },
      });
      expect(calls).toHaveLength(1);
      expect(calls[0]!.json).toEqual({
        type: 'notification.test',
        timestamp: INSTANT,
        data: { channel: { id, name: 'T' }, alert: null },
      });
      expect(calls[0]!.headers['webhook-id']).toBe(tested.data.id);
      expect(isSignedWith(secret, calls[0]!)).toBe(true);
      expect(await test(id)).toEqual({
        status: 429,
        error: 'A test was sent a moment ago; look at how it went',
      });

      status = 500;
      const other = await create({ name: 'F', kind: 'webhook', target: url });
      const failed = await test(other.data.id);
      expect(failed.data).toMatchObject({
        ...{ state: 'dead', attempts: 1, last_error: 'The target answered 500' },
      });
      const { data } = await deliveries({ state: 'dead' });
      expect(data).toEqual({ deliveries: [failed.data], count: 1, next_cursor: null });
      status = 204;
      const again = await retry(failed.data.id);
      expect(again.data).toMatchObject({ state: 'pending', next_attempt_at: INSTANT });
      await until(
        'the delivery',
        async () => (await deliveries({ state: 'dead' })).data.count === 0,
      );
      await update(id, { enabled: false });
      expect(await test(id)).toEqual({
        status: 409,
        error: 'This channel is switched off; enable it first',
      });
    });

    it('are told of alerts that robots raise, page by page', async () => {
      const { calls, url } = await startReceiver();
      const { token, create, deliveries, retry } = await enter();
      const robot_id = `robot-${crypto.randomUUID()}`;
      const post = (path: string, body?: unknown) =>
        app().call('POST', `/api/v1${path}`, body, token);
      await post('/robots', { robot_id, robot_type: 'x' });
      const { id } = (await create({ name: 'A', kind: 'webhook', target: url })).data;
      const quiet = await create({ name: 'B', kind: 'webhook', target: url });
      for (const severity of ['info', 'warning', 'critical']) {
        const alert = { alert_type: 'hot', severity, message: severity, dedup_key: severity };
        await post(`/robots/${robot_id}/alert`, alert);
        await post(`/robots/${robot_id}/alert`, alert);
      }
      const all = await until('four deliveries', async () => {
        const { data } = await deliveries({ state: 'delivered' });
        return data.count === 4 && data;
      });
      expect(calls.map(({ json }) => json.data.alert.severity).sort()).toEqual([
        ...['critical', 'critical', 'warning', 'warning'],
      ]);
      const paged = [];
      let cursor: string | null = null;
      do {
        const { data } = await deliveries({ limit: 3, ...(cursor && { cursor }) });
        paged.push(...data.deliveries);
        cursor = data.next_cursor;
      } while (cursor !== null);
      expect(paged).toEqual(all.deliveries);
      const ofOne = await deliveries({ channel_id: id });
      expect(ofOne.data.count).toBe(2);
      const { alert_id } = ofOne.data.deliveries[0];
      await post(`/alerts/${alert_id}/resolve`);
      await until('the end of the alert', () => calls.length === 6);
      expect(calls.at(-1)!.json.type).toBe('alert.resolved');

      expect(await retry(all.deliveries[0].id)).toEqual({
        status: 409,
        error: 'This delivery was delivered',
      });
      expect(await retry(NOBODY)).toEqual({
        status: 404,
        error: 'Notification delivery not found',
      });
      const stranger = await enter();
      expect((await stranger.retry(all.deliveries[0].id)).status).toBe(404);
      expect((await stranger.deliveries({ channel_id: id })).data.count).toBe(0);
      expect(await deliveries({ cursor: 'x' })).toEqual({
        status: 400,
        error: 'cursor: is not one that this server gave out',
      });
      expect((await deliveries({ channel_id: quiet.data.id })).data.count).toBe(3);
    });
  });

  it('mail when a mail server is configured, and survive a restart', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const { received, email } = await startSmtp();
    const first = await startApp(database, { config: { email } });
    const { token } = await first.addAccount();
    const door = restDoor(first, token);
    const made = await door.create({ name: 'Ann', kind: 'email', target: 'ann@example.com' });
    expect(made.data).toMatchObject({ kind: 'email', secret: null });
    expect((await door.test(made.data.id)).data.state).toBe('delivered');
    expect(received).toHaveLength(1);
    await first.close();

    const second = await startApp(database);
    const again = restDoor(second, token);
    expect((await again.list()).data.count).toBe(1);
    expect((await again.deliveries()).data.count).toBe(1);
  });
});
