import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { claimDelivery } from '../../src/db/repositories/notification-deliveries.js';
import { describeEachDatabase } from '../support/databases.js';
import { useNotifications } from '../support/notifications.js';
import { INSTANT } from '../support/rest.js';
import { startSmtp } from '../support/smtp.js';
import { until } from '../support/until.js';
import { isSignedWith, startReceiver } from '../support/webhook-receiver.js';

const MINUTE_MS = 60_000;
const hang = () => {};

describeEachDatabase('notifications', (kind) => {
  const start = useNotifications(kind);

  it('tell a webhook of each change, in order, signed', async () => {
    const { calls, url } = await startReceiver();
    const { addWebhook, raise, acknowledge, resolve, settled, account, robot } = await start();
    const { id, secret } = await addWebhook(`${url}?x=1`);
    expect(secret).toMatch(/^whsec_[A-Za-z\d+/]{43}=$/);
    const alert = await raise({ severity: 'critical' });
    await acknowledge(alert.id);
    await resolve(alert.id);
    const deliveries = await settled(3);
    expect(deliveries).toMatchObject(
      ['opened', 'acknowledged', 'resolved'].map((change) => ({
        ...{ change, channel_id: id, alert_id: alert.id, state: 'delivered', attempts: 1 },
        ...{ last_error: null, next_attempt_at: null, finished_at: INSTANT },
      })),
    );
    expect(calls.map(({ headers }) => headers['webhook-id'])).toEqual(
      deliveries.map((delivery) => delivery.id),
    );
    for (const call of calls) {
      expect(call).toMatchObject({ method: 'POST', path: '/hook?x=1' });
      expect(call.headers).toMatchObject({
        'content-type': 'application/json',
        'user-agent': 'Fleetwire/test',
        'webhook-timestamp': '1769342400',
      });
      expect(isSignedWith(secret!, call)).toBe(true);
      expect(isSignedWith(`whsec_${Buffer.from('another').toString('base64')}`, call)).toBe(false);
    }
    expect(calls[0]!.json).toEqual({
      type: 'alert.opened',
      timestamp: INSTANT,
      data: {
        channel: { id, name: 'a hook' },
        alert: {
          ...{ id: alert.id, robot_id: robot, account_id: account, alert_type: 'low_battery' },
          ...{ severity: 'critical', message: 'the battery is low', metadata: { cell: 3 } },
          ...{ status: 'active', count: 1, dedup_key: null, rule_id: null },
          ...{ created_at: INSTANT, last_seen_at: INSTANT, acknowledged_at: null },
          ...{ acknowledged_by: null, resolved_at: null, resolved_by: null },
        },
      },
    });
    expect(calls.map(({ json }) => [json.type, json.data.alert.status])).toEqual([
      ['alert.opened', 'active'],
      ['alert.acknowledged', 'acknowledged'],
      ['alert.resolved', 'resolved'],
    ]);
  });

  it('go to the channels of the account that are on and low enough', async () => {
    const { calls, url } = await startReceiver();
    const stranger = await start();
    await stranger.addWebhook(`${url}/stranger`);
    const { addWebhook, raise, settled } = await start();
    await addWebhook(`${url}/all`);
    await addWebhook(`${url}/errors`, { min_severity: 'error' });
    await addWebhook(`${url}/off`, { enabled: false });
    for (const severity of ['info', 'warning', 'error', 'critical']) await raise({ severity });
    await settled(6);
    const told = calls.map(({ path, json }) => `${path} ${json.data.alert.severity}`);
    expect(told.sort()).toEqual([
      ...['/hook/all critical', '/hook/all error', '/hook/all info', '/hook/all warning'],
      ...['/hook/errors critical', '/hook/errors error'],
    ]);
    expect(await stranger.deliveries()).toEqual([]);
  });

  it('tell of a repeat only when it is more severe, also those who were told nothing before', async () => {
    const { calls, url } = await startReceiver();
    const { addWebhook, raise, settled } = await start();
    await addWebhook(`${url}/all`);
    await addWebhook(`${url}/critical`, { min_severity: 'critical' });
    for (const severity of ['warning', 'warning', 'info', 'critical', 'critical']) {
      await raise({ severity, dedup_key: 'battery' });
    }
    await settled(3);
    expect(
      calls.map(({ path, json }) => `${path} ${json.type} ${json.data.alert.severity}`).sort(),
    ).toEqual([
      '/hook/all alert.escalated critical',
      '/hook/all alert.opened warning',
      '/hook/critical alert.escalated critical',
    ]);
  });

  it('are undone with the change they tell of', async () => {
    const { calls, url } = await startReceiver();
    const { addWebhook, raise, settled } = await start();
    await addWebhook(url);
    await expect(raise({ message: 'never was', fail: true })).rejects.toThrow('undone');
    await raise({ message: 'was' });
    await settled(1);
    expect(calls.map(({ json }) => json.data.alert.message)).toEqual(['was']);
  });

  it('are tried again after a while, as the same one, while later ones pass', async () => {
    const { calls, url } = await startReceiver(({ json }, n) =>
      json.data.alert.message === 'first' && n < 3 ? 500 : 200,
    );
    const { addWebhook, raise, settled, clock } = await start();
    await addWebhook(url);
    await raise({ message: 'first' });
    let [first] = await settled(1);
    expect(first).toMatchObject({
      ...{ state: 'pending', attempts: 1, last_error: 'The target answered 500' },
      ...{ next_attempt_at: new Date(clock.now() + 30_000).toISOString(), finished_at: null },
    });
    clock.advance(29_999);
    await raise({ message: 'second' });
    expect(await settled(2)).toMatchObject([{ attempts: 1 }, { state: 'delivered' }]);
    clock.advance(2_000);
    await until('the second try', async () => (await settled(2))[0]!.attempts === 2);
    [first] = await settled(2);
    expect(first).toMatchObject({
      next_attempt_at: new Date(clock.now() + 2 * MINUTE_MS).toISOString(),
    });
    clock.advance(2 * MINUTE_MS);
    await until('the third try', async () => (await settled(2))[0]!.state === 'delivered');
    expect((await settled(2))[0]).toMatchObject({ attempts: 3, last_error: null });
    expect(calls.map(({ json }) => json.data.alert.message)).toEqual([
      ...['first', 'second', 'first', 'first'],
    ]);
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
    expect(calls.at(-1)!.body).toBe(calls[0]!.body);
  });

  it('are dead after eight tries in about a day, and can be retried by hand', async () => {
    let isBroken = true;
    const { calls, url } = await startReceiver(() => (isBroken ? 503 : 200));
    const { addWebhook, raise, settled, clock, service, principal, lines } = await start();
    await addWebhook(url);
    await raise();
    const began = clock.now();
    for (let attempts = 1; attempts < 8; attempts += 1) {
      const [waiting] = await settled(1);
      expect(waiting).toMatchObject({ state: 'pending', attempts });
      clock.advance(Date.parse(waiting!.next_attempt_at!) - clock.now());
      await until('a try', () => calls.length > attempts);
    }
    const [dead] = await settled(1);
    expect(dead).toMatchObject({
      ...{ state: 'dead', attempts: 8, last_error: 'The target answered 503' },
      ...{ next_attempt_at: null, finished_at: INSTANT },
    });
    expect((clock.now() - began) / 3_600_000).toBeCloseTo(23.4, 1);
    expect(lines.join()).toContain('given up');
    for (const state of ['pending', 'sending', 'delivered'] as const) {
      expect((await service.deliveries(principal, { state, limit: 9 })).count).toBe(0);
    }
    expect((await service.deliveries(principal, { state: 'dead', limit: 9 })).count).toBe(1);
    clock.advance(86_400_000);

    await service.retry(principal, dead!.id);
    const [waiting] = await settled(1);
    expect(waiting).toMatchObject({ state: 'pending', attempts: 1, finished_at: null });
    isBroken = false;
    await service.retry(principal, dead!.id);
    await until('the delivery', async () => (await settled(1))[0]!.state === 'delivered');
    expect(calls).toHaveLength(10);
    await expect(service.retry(principal, dead!.id)).rejects.toMatchObject({
      ...{ code: 'conflict', message: 'This delivery was delivered' },
    });
  });

  it('wait no longer than the limit for an answer', async () => {
    const { url } = await startReceiver(() => hang);
    const { addWebhook, raise, settled } = await start({ webhooks: { timeoutMs: 100 } });
    await addWebhook(url);
    await raise();
    expect(await settled(1)).toMatchObject([
      { state: 'pending', last_error: 'No answer within 0.1 s' },
    ]);
  });

  it('follow no redirect', async () => {
    const elsewhere = await startReceiver();
    const { url } = await startReceiver(() => (response) => {
      response.writeHead(307, { location: elsewhere.url }).end();
    });
    const { addWebhook, raise, settled } = await start();
    await addWebhook(url);
    await raise();
    expect(await settled(1)).toMatchObject([
      { state: 'pending', last_error: 'The target answered 307; redirects are not followed' },
    ]);
    expect(elsewhere.calls).toEqual([]);
  });

  it('read little of an answer without an end', async () => {
    let response: ServerResponse | undefined;
    const flood = (answer: ServerResponse) => {
      response = answer;
      answer.writeHead(200);
      const pour = () => {
        while (!answer.destroyed && answer.write(Buffer.alloc(65_536)));
      };
      answer.on('drain', pour);
      pour();
    };
    const { url } = await startReceiver(() => flood);
    const { addWebhook, raise, settled } = await start();
    await addWebhook(url);
    await raise();
    expect(await settled(1)).toMatchObject([{ state: 'delivered' }]);
    if (!response!.destroyed) await once(response!, 'close');
  });

  it('keep away as long as they are asked to, within limits', async () => {
    const asked = ['600', new Date(1_769_342_400_000 + 900_000).toUTCString(), '9'.repeat(30), 'x'];
    const { url } = await startReceiver((_call, n) => (response) => {
      response.writeHead(429, { 'retry-after': asked[n]! }).end();
    });
    const { addWebhook, raise, settled, clock } = await start();
    for (const _ of asked) await addWebhook(url);
    await raise();
    const waits = (await settled(asked.length)).map(
      ({ next_attempt_at }) => Date.parse(next_attempt_at!) - clock.now(),
    );
    expect(waits.sort((a, b) => a - b)).toEqual([30_000, 600_000, 900_000, 6 * 3_600_000]);
  });

  it('stop for good where they are gone', async () => {
    let isGone = false;
    const { calls, url } = await startReceiver(() => (isGone ? 410 : 500));
    const { addWebhook, raise, settled, clock, service, principal } = await start();
    const { id } = await addWebhook(url);
    await raise();
    await settled(1);
    isGone = true;
    await raise();
    await until('the end', async () => !(await service.get(principal, id)).enabled);
    expect(await settled(2)).toMatchObject([
      { state: 'dead', last_error: 'The channel was switched off' },
      { state: 'dead', last_error: 'The target answered 410; the channel was switched off' },
    ]);
    await raise();
    clock.advance(86_400_000);
    expect(await settled(2)).toHaveLength(2);
    expect(calls).toHaveLength(2);
    const { id: dead } = (await settled(2))[0]!;
    await expect(service.retry(principal, dead)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('go on after a restart in the middle, where they were', async () => {
    let isStuck = true;
    const { calls, url } = await startReceiver(() => (isStuck ? hang : 200));
    const before = await start();
    await before.addWebhook(url);
    for (const message of ['1', '2', '3']) await before.raise({ message });
    await until('the first call', () => calls.length === 1);
    expect(await before.deliveries()).toMatchObject([
      { state: 'sending', attempts: 1 },
      ...[{ state: 'pending' }, { state: 'pending' }],
    ]);
    await expect(
      before.service.retry(before.principal, (await before.deliveries())[0]!.id),
    ).rejects.toMatchObject({ message: 'This delivery is being sent' });
    const startedMs = performance.now();
    await before.stop();
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect(await before.deliveries()).toMatchObject(
      Array(3).fill({ state: 'pending', attempts: 0, last_error: null }),
    );
    isStuck = false;
    const after = await start({}, before);
    expect(await after.settled(3)).toMatchObject(
      Array(3).fill({ state: 'delivered', attempts: 1 }),
    );
    expect(calls.map(({ json }) => json.data.alert.message)).toEqual(['1', '1', '2', '3']);
  });

  it('go on after a crash in the middle, once the claim is over', async () => {
    const { calls, url } = await startReceiver();
    const { addWebhook, raise, settled, clock, db, stop, ...peer } = await start();
    await stop();
    const { id } = await addWebhook(url);
    await raise({ message: '1' });
    await raise({ message: '2' });
    // As a process does that dies then.
    expect(await claimDelivery(db, id, clock.now(), clock.now() + MINUTE_MS)).toBeDefined();
    expect(await claimDelivery(db, id, clock.now(), clock.now() + MINUTE_MS)).toBeUndefined();
    const after = await start({}, peer);
    after.clock.advance(1_000);
    const other = await startReceiver();
    await after.addWebhook(other.url);
    await after.raise({ message: 'to both' });
    await until('what is not held up', () => other.calls.length === 1);
    after.clock.advance(MINUTE_MS - 1_001);
    await after.raise({ message: 'to both again' });
    await until('what is not held up', () => other.calls.length === 2);
    expect(calls).toEqual([]);
    after.clock.advance(2_000);
    await until('the rest', () => calls.length === 4);
    expect(calls.map(({ json }) => json.data.alert.message)).toEqual([
      ...['1', '2', 'to both', 'to both again'],
    ]);
    expect((await after.settled(6))[0]).toMatchObject({ state: 'delivered', attempts: 2 });
  });

  it('are made once and in order by two instances', async () => {
    const { calls, url } = await startReceiver();
    const one = await start();
    const two = await start({}, one);
    for (const n of [0, 1, 2]) await one.addWebhook(`${url}/${n}`);
    const count = 60;
    for (let n = 0; n < count; n += 1) {
      await one.raise({ message: String(n) });
      two.worker.wake();
    }
    await one.settled(3 * count);
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(3 * count);
    expect(calls).toHaveLength(3 * count);
    for (const n of [0, 1, 2]) {
      const told = calls.filter(({ path }) => path === `/hook/${n}`);
      expect(told.map(({ json }) => Number(json.data.alert.message))).toEqual(
        Array.from({ length: count }, (_, at) => at),
      );
    }
  });

  it('do not let one channel that hangs hold up the others', async () => {
    const stuck = await startReceiver(() => hang);
    const { calls, url } = await startReceiver();
    const { addWebhook, raise } = await start();
    await addWebhook(stuck.url);
    await addWebhook(url);
    for (let n = 0; n < 30; n += 1) await raise();
    await until('the others', () => calls.length === 30);
    expect(stuck.calls).toHaveLength(1);
  });

  it('pile up to a limit, and say what did not get in', async () => {
    const { addWebhook, raise, deliveries, db, stop, service, principal } = await start();
    await stop();
    const { id } = await addWebhook('http://127.0.0.1:9/');
    await raise();
    const [row] = await db.selectFrom('notification_deliveries').selectAll().execute();
    const rows = Array.from({ length: 998 }, (_, n) => ({ ...row!, id: `${row!.id}-${n}` }));
    for (let from = 0; from < rows.length; from += 200) {
      await db
        .insertInto('notification_deliveries')
        .values(rows.slice(from, from + 200))
        .execute();
    }
    await raise({ message: 'the last' });
    await raise({ message: 'one too many' });
    const dead = { state: 'dead' as const, limit: 10 };
    const { deliveries: refused } = await service.deliveries(principal, dead);
    expect(refused).toMatchObject([
      { attempts: 0, last_error: 'Not queued: 1000 deliveries of this channel were waiting' },
    ]);
    await expect(service.retry(principal, refused[0]!.id)).rejects.toMatchObject({
      details: { limit: 'notification_deliveries_per_channel' },
    });
    await service.update(principal, { channel_id: id, enabled: false });
    expect((await service.deliveries(principal, dead)).count).toBe(10);
    expect((await deliveries()).every(({ state }) => state === 'dead')).toBe(true);
  });

  it('are forgotten a month after they ended', async () => {
    const { url } = await startReceiver();
    const { addWebhook, raise, settled, clock, deliveries } = await start();
    await addWebhook(url);
    await raise();
    await settled(1);
    clock.advance(30 * 86_400_000);
    await raise();
    await settled(2);
    clock.advance(3_600_000);
    await until('the sweep', async () => (await deliveries()).length === 1);
  });

  it('reach a name at the address that was judged, and no private one', async () => {
    const { calls, port } = await startReceiver();
    const target = `http://hooks.example.test:${port}/hook`;
    const asked: string[] = [];
    const resolvingTo =
      (...addresses: string[]) =>
      (
        name: string,
        answer: (error: null, found: { address: string; family: number }[]) => void,
      ) => {
        asked.push(name);
        answer(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        );
      };
    const allowed = await start({ webhooks: { resolve: resolvingTo('127.0.0.1') } });
    await allowed.addWebhook(target);
    await allowed.raise();
    await allowed.settled(1);
    expect(asked).toEqual(['hooks.example.test']);
    expect(calls[0]!.headers.host).toBe(`hooks.example.test:${port}`);
    await allowed.stop();

    const rules = { allowPrivate: false, requireHttps: false };
    for (const addresses of [['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['::ffff:127.0.0.1']]) {
      const guarded = await start({ webhooks: { rules, resolve: resolvingTo(...addresses) } });
      await guarded.addWebhook(target);
      await guarded.raise();
      const [refused] = await guarded.settled(1);
      expect(refused!.last_error).toBe(
        'The target is not on the open internet; notifications.allow_private_targets would allow it',
      );
    }
    expect(calls).toHaveLength(1);
  });

  it('go nowhere that their target does not allow any more', async () => {
    const { calls, url } = await startReceiver();
    const before = await start();
    await before.addWebhook(url);
    await before.stop();
    const rules = { allowPrivate: false, requireHttps: true };
    const after = await start({ webhooks: { rules } }, before);
    await after.raise();
    expect(await after.settled(1)).toMatchObject([
      { state: 'pending', last_error: 'The target must be an https URL' },
    ]);
    expect(calls).toEqual([]);
  });

  it('say where nobody listens, and write no secret anywhere', async () => {
    const { addWebhook, raise, settled, service, principal, lines, clock } = await start();
    const { secret, id } = await addWebhook('http://127.0.0.1:9/private-path');
    await raise();
    const [refused] = await settled(1);
    expect(refused!.last_error).toBe('The target could not be reached (ECONNREFUSED)');
    const test = await service.test(principal, id);
    expect(test).toMatchObject({ change: 'test', alert_id: null, state: 'dead', attempts: 1 });
    clock.advance(10_000);
    await service.update(principal, { channel_id: id, enabled: false });
    const shown = [await service.list(principal), await service.get(principal, id), lines];
    expect(JSON.stringify(shown)).not.toContain('whsec_');
    expect(JSON.stringify(shown)).not.toContain(secret!.slice(6));
    expect(lines.join()).toContain('given up');
    expect(lines.join()).not.toContain('private-path');
  });

  it('are signed with the new secret after it was rotated', async () => {
    const { calls, url } = await startReceiver();
    const { addWebhook, raise, settled, service, principal } = await start();
    const made = await addWebhook(url);
    const rotated = await service.rotateSecret(principal, made.id);
    expect(rotated.secret).not.toBe(made.secret);
    await raise();
    await settled(1);
    expect(isSignedWith(rotated.secret!, calls[0]!)).toBe(true);
    expect(isSignedWith(made.secret!, calls[0]!)).toBe(false);
  });

  it('go by mail', async () => {
    const { received, mailer } = await startSmtp();
    const { service, principal, raise, settled, robot } = await start({ mailer });
    const to = { kind: 'email', target: 'ann@example.com', min_severity: 'info' } as const;
    const { secret, id } = await service.create(principal, { name: 'Ann', enabled: true, ...to });
    expect(secret).toBeNull();
    const alert = await raise({ message: 'Line one\nline two' });
    const [delivery] = await settled(1);
    expect(delivery!.state).toBe('delivered');
    expect(received).toMatchObject([{ from: 'fleet@example.com', to: ['ann@example.com'] }]);
    const { text } = received[0]!;
    expect(text).toContain(`Subject: [error] low_battery on ${robot} opened\r\n`);
    expect(text).toContain(`Message-ID: <${delivery!.id}@example.com>\r\n`);
    expect(text).toContain('Auto-Submitted: auto-generated\r\n');
    expect(text).toContain('Line one\r\nline two\r\n');
    expect(text).toContain(`Alert id: ${alert.id}\r\n`);
    expect(await service.test(principal, id)).toMatchObject({ state: 'delivered' });
    expect(received[1]!.text).toContain('Subject: Test of the notification channel Ann\r\n');
    await expect(service.rotateSecret(principal, id)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('are tried again when the mail server refuses', async () => {
    let isFull = true;
    const { received, mailer } = await startSmtp({
      onRcptTo: (_address, _session, done) =>
        done(isFull ? Object.assign(new Error('mailbox full'), { responseCode: 452 }) : null),
    });
    const { service, principal, raise, settled, clock } = await start({ mailer });
    const to = { kind: 'email', target: 'ann@example.com', min_severity: 'info' } as const;
    await service.create(principal, { name: 'Ann', enabled: true, ...to });
    await raise();
    const [refused] = await settled(1);
    expect(refused).toMatchObject({
      state: 'pending',
      last_error: expect.stringMatching(/^The mail could not be sent \(452, /),
    });
    isFull = false;
    clock.advance(30_000);
    await until('the mail', () => received.length === 1);
    expect(await settled(1)).toMatchObject([{ state: 'delivered', attempts: 2 }]);
  });

  it('break off a mail server that hangs when they stop', async () => {
    let reached = false;
    const { mailer } = await startSmtp({
      onMailFrom: () => {
        reached = true;
      },
    });
    const { service, principal, raise, stop, deliveries } = await start({ mailer });
    const to = { kind: 'email', target: 'ann@example.com', min_severity: 'info' } as const;
    await service.create(principal, { name: 'Ann', enabled: true, ...to });
    await raise();
    await until('the mail server', () => reached);
    await stop();
    expect(await deliveries()).toMatchObject([{ state: 'pending', attempts: 0 }]);
  });
});
