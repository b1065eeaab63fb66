import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { SMTPServerOptions } from 'smtp-server';
import { describe, expect, it } from 'vitest';
import { createMailer } from '../../src/services/mailer.js';
import {
  createRegistration,
  goDuration,
  type RegistrationDeps,
} from '../../src/services/registration.js';
import { describeEachDatabase } from '../support/databases.js';
import { cheapEngine, createIdentity, useDatabase } from '../support/identity.js';
import { startSmtp } from '../support/smtp.js';

const TTL_MS = 1_200_000;
const INVALID = { code: 'invalid_input', message: 'Invalid verification code' };
const TAKEN = { code: 'conflict', message: 'Email already registered' };
const DISABLED = { code: 'forbidden', message: 'Registration is disabled' };

describeEachDatabase('registration', (kind) => {
  const db = useDatabase(kind);

  async function setUp(overrides: Partial<RegistrationDeps> = {}, smtp: SMTPServerOptions = {}) {
    const identity = createIdentity(db(), { engine: cheapEngine });
    const { received, mailer } = await startSmtp(smtp);
    let made = 0;
    const registration = createRegistration({
      ...identity,
      mailer,
      features: { registration_enabled: true, email_verification_required: true },
      environment: 'production',
      codeTtlMs: TTL_MS,
      randomCode: () => String(100_000 + made++),
      ...overrides,
    });
    const register = (code: string | undefined, email = 'ann@example.com') =>
      registration.register({ email, password: 'a good password', code });
    return { ...identity, received, registration, register };
  }
  const accountCount = async () =>
    (await db().selectFrom('accounts').select('id').execute()).length;
  const storedCodes = () => db().selectFrom('email_verification_codes').selectAll().execute();

  it('mails a code of 6 random digits and makes the account for it', async () => {
    const { accounts, clock, ...identity } = createIdentity(db(), { engine: cheapEngine });
    await accounts.ensureAdmin();
    const { received, mailer } = await startSmtp();
    const registration = createRegistration({
      ...identity,
      ...{ accounts, clock, mailer, environment: 'production', codeTtlMs: TTL_MS },
      features: { registration_enabled: true, email_verification_required: true },
    });
    const codes: string[] = [];
    for (const name of ['ann', 'bob', 'cem']) {
      const email = `${name}@Example.com`;
      expect(await registration.sendCode(email)).toEqual({
        message: 'Verification code sent',
        expires_in: '20m0s',
      });
      const mail = received.at(-1)!;
      expect(mail).toMatchObject({ from: 'fleet@example.com', to: [`${name}@example.com`] });
      const code = /code is (\d{6})\./.exec(mail.text)![1]!;
      codes.push(code);
      expect(JSON.stringify(await storedCodes())).not.toContain(`"${code}"`);
      const made = await registration.register({ email, password: 'a good password', code });
      expect(made).toMatchObject({ message: 'Account created successfully' });
      const login = await accounts.login(
        { username: email, password: 'a good password' },
        { loopback: false },
      );
      expect(login).toEqual({ ...made, message: 'Login successful' });
    }
    expect(new Set(codes).size).toBeGreaterThan(1);
    const rows = await db().selectFrom('accounts').select(['id', 'email_verified']).execute();
    expect(rows.map((row) => row.email_verified)).toEqual([1, 1, 1, 1]);
    expect(await storedCodes()).toEqual([]);
  });

  it('is refused altogether while it is switched off', async () => {
    const features = { registration_enabled: false, email_verification_required: false };
    const { registration, register, received } = await setUp({ features });
    await expect(registration.sendCode('ann@example.com')).rejects.toMatchObject(DISABLED);
    await expect(register(undefined)).rejects.toMatchObject(DISABLED);
    expect(received).toEqual([]);
    expect(await accountCount()).toBe(0);
  });

  it('needs no code where addresses are not verified', async () => {
    const features = { registration_enabled: true, email_verification_required: false };
    const { register } = await setUp({ features });
    await register(undefined);
    const [row] = await db().selectFrom('accounts').selectAll().execute();
    expect(row).toMatchObject({ email: 'ann@example.com', email_verified: 0 });
    await expect(register(undefined)).rejects.toMatchObject(TAKEN);
  });

  it('does not take an address that has an account, however it is written', async () => {
    const { accounts, registration, register, received } = await setUp();
    await accounts.create({ email: 'ann@example.com', password: 'a good password' });
    await expect(registration.sendCode('ANN@example.com')).rejects.toMatchObject(TAKEN);
    await expect(register('100000')).rejects.toMatchObject(TAKEN);
    expect(received).toEqual([]);
  });

  describe('the code', () => {
    it('must be there, be the one that was mailed, and mailed to this address', async () => {
      const { registration, register } = await setUp();
      await expect(register('100000')).rejects.toMatchObject(INVALID);
      await registration.sendCode('ann@example.com');
      await registration.sendCode('bob@example.com');
      for (const code of [undefined, '', '100001', 'abcdef']) {
        await expect(register(code)).rejects.toMatchObject(INVALID);
      }
      await expect(register('100000', 'bob@example.com')).rejects.toMatchObject(INVALID);
      await register('100000');
      await register('100001', 'bob@example.com');
    });

    it('is good until it expires', async () => {
      const { clock, registration, register } = await setUp();
      await registration.sendCode('ann@example.com');
      await registration.sendCode('bob@example.com');
      clock.advance(TTL_MS - 1);
      await register('100000');
      clock.advance(1);
      await expect(register('100001', 'bob@example.com')).rejects.toMatchObject({
        code: 'invalid_input',
        message: 'Verification code expired',
      });
      await expect(register('999999', 'bob@example.com')).rejects.toMatchObject(INVALID);
    });

    it('takes 5 tries and no sixth, not even the right one', async () => {
      const { registration, register } = await setUp();
      await registration.sendCode('ann@example.com');
      await registration.sendCode('bob@example.com');
      for (let attempt = 1; attempt <= 4; attempt += 1) {
        await expect(register('999999')).rejects.toMatchObject(INVALID);
        await expect(register('999999', 'bob@example.com')).rejects.toMatchObject(INVALID);
      }
      await register('100000');
      await expect(register('999999', 'bob@example.com')).rejects.toMatchObject(INVALID);
      await expect(register('100001', 'bob@example.com')).rejects.toMatchObject(INVALID);
    });

    it('counts tries that come at the same time', async () => {
      const { registration, register } = await setUp();
      await registration.sendCode('ann@example.com');
      const guesses = Array.from({ length: 20 }, (_, n) => register(String(200_000 + n)));
      const outcomes = await Promise.allSettled(guesses);
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: INVALID });
      }
      expect(await storedCodes()).toMatchObject([{ attempts: 5 }]);
      await expect(register('100000')).rejects.toMatchObject(INVALID);
    });

    it('makes one account, however many bring it at once', async () => {
      const { registration, register } = await setUp();
      await registration.sendCode('ann@example.com');
      const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => register('100000')));
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') continue;
        expect(['invalid_input', 'conflict']).toContain(outcome.reason.code);
      }
      expect(await accountCount()).toBe(1);
    });

    it('is used up with the account it made', async () => {
      const { registration, register } = await setUp();
      await registration.sendCode('ann@example.com');
      await register('100000');
      await db().deleteFrom('accounts').execute();
      await expect(register('100000')).rejects.toMatchObject(INVALID);
    });

    it('is not used up when the account cannot be made', async () => {
      const { accounts, registration, ...identity } = await setUp();
      await registration.sendCode('ann@example.com');
      const failing = createRegistration({
        ...identity,
        accounts: {
          ...accounts,
          create: (input, proof) =>
            accounts.create(input, async (transaction) => {
              await proof?.(transaction);
              throw new Error('power cut');
            }),
        },
        ...{ mailer: null, environment: 'production', codeTtlMs: TTL_MS },
        features: { registration_enabled: true, email_verification_required: true },
      });
      const input = { email: 'ann@example.com', password: 'a good password', code: '100000' };
      await expect(failing.register(input)).rejects.toThrow('power cut');
      await registration.register(input);
    });
  });

  describe('the mail', () => {
    it('is sent once a minute to an address, however many ask at once', async () => {
      const { clock, registration, register, received } = await setUp();
      const asked = ['ann@example.com', 'ANN@example.com', 'Ann@Example.com'];
      const outcomes = await Promise.allSettled(asked.map((a) => registration.sendCode(a)));
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(received).toHaveLength(1);
      clock.advance(45_000);
      await expect(registration.sendCode('ann@example.com')).rejects.toMatchObject({
        code: 'rate_limited',
        details: { retryAfterMs: 15_000, limit: 'verification_mails_per_address' },
      });
      await registration.sendCode('bob@example.com');
      clock.advance(15_000);
      await registration.sendCode('ann@example.com');
      expect(received).toHaveLength(3);
      const [first, , second] = received.map((mail) => /code is (\d{6})\./.exec(mail.text)![1]);
      await expect(register(first)).rejects.toMatchObject(INVALID);
      await register(second);
    });

    it('that the mail server refuses is a 503 and may be asked for again at once', async () => {
      let isFull = true;
      const { lines, registration, received, register } = await setUp(
        {},
        {
          onRcptTo: (_address, _session, done) => done(isFull ? new Error('mailbox full') : null),
        },
      );
      await expect(registration.sendCode('ann@example.com')).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect(await storedCodes()).toEqual([]);
      expect(lines.join()).toContain('mailbox full');
      expect(lines.join()).not.toContain('100000');
      isFull = false;
      await registration.sendCode('ann@example.com');
      expect(received).toHaveLength(1);
      await register('100001');
    });

    it('goes to the log in development when no mail server is configured', async () => {
      const { lines, registration, register } = await setUp({
        mailer: null,
        environment: 'development',
      });
      await registration.sendCode('ann@example.com');
      expect(lines).toHaveLength(1);
      const { msg } = JSON.parse(lines[0]!) as { msg: string };
      expect(msg).toContain('ann@example.com: 100000');
      await register('100000');
    });

    it('is a 503 in production when no mail server is configured, and nothing is stored', async () => {
      const { lines, registration } = await setUp({ mailer: null });
      await expect(registration.sendCode('ann@example.com')).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('email.smtp_host'),
      });
      expect(await storedCodes()).toEqual([]);
      expect(lines).toEqual([]);
    });

    it('sweeps out codes that expired more than an hour ago', async () => {
      const { clock, registration } = await setUp();
      await registration.sendCode('ann@example.com');
      clock.advance(TTL_MS + 3_600_000);
      await registration.sendCode('bob@example.com');
      expect((await storedCodes()).map((row) => row.email).sort()).toEqual([
        'ann@example.com',
        'bob@example.com',
      ]);
      clock.advance(1);
      await registration.sendCode('cem@example.com');
      expect((await storedCodes()).map((row) => row.email).sort()).toEqual([
        'bob@example.com',
        'cem@example.com',
      ]);
    });
  });
});

describe('mailer', () => {
  const mail = { to: 'ann@example.com', subject: 'Hello', text: 'A line' };
  const LOGIN = { username: 'fleet', password: 'mail secret' };
  const onAuth: SMTPServerOptions['onAuth'] = (auth, _session, done) =>
    auth.username === LOGIN.username && auth.password === LOGIN.password
      ? done(null, { user: auth.username })
      : done(new Error('wrong login'));

  it('is null when no SMTP host is configured', async () => {
    const { email } = await startSmtp();
    expect(createMailer({ ...email, smtp_host: '' })).toBeNull();
  });

  it('encrypts where the server offers it, here even under a certificate of its own making', async () => {
    const { mailer, received } = await startSmtp({ hideSTARTTLS: false });
    await mailer.send(mail);
    expect(received).toMatchObject([{ isEncrypted: true, user: false }]);
  });

  it('mails in the clear to a server that offers nothing else', async () => {
    const { mailer, received } = await startSmtp();
    await mailer.send(mail);
    expect(received).toMatchObject([{ isEncrypted: false }]);
  });

  it('logs in, and does not repeat the password when that fails', async () => {
    const { email, received } = await startSmtp({
      authOptional: false,
      hideSTARTTLS: false,
      onAuth,
    });
    await createMailer({ ...email, ...LOGIN })!.send(mail);
    expect(received).toMatchObject([{ user: 'fleet', isEncrypted: true }]);
    const wrong = createMailer({ ...email, username: 'fleet', password: 'other secret' })!;
    const error: unknown = await wrong.send(mail).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(Error);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('other secret');
  });

  it('sends no password in the clear, or to a certificate it cannot check, on another machine', async () => {
    const logins: string[] = [];
    const options: SMTPServerOptions = {
      allowInsecureAuth: true,
      onAuth: (auth, _session, done) => {
        logins.push(auth.username ?? '');
        done(null, { user: auth.username });
      },
    };
    for (const hideSTARTTLS of [true, false]) {
      const disabledCommands = hideSTARTTLS ? ['STARTTLS'] : [];
      const { email } = await startSmtp({ ...options, hideSTARTTLS, disabledCommands });
      // Leads to this machine, but is none of the names by which the mailer knows it.
      const mailer = createMailer({ ...email, ...LOGIN, smtp_host: '0.0.0.0' })!;
      await expect(mailer.send(mail)).rejects.toThrow(hideSTARTTLS ? /STARTTLS/ : /certificate/);
      await createMailer({ ...email, ...LOGIN })!.send(mail);
      expect(logins.splice(0)).toEqual(['fleet']);
    }
  });

  it('fails when nobody listens', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const { email } = await startSmtp();
    const mailer = createMailer({ ...email, smtp_port: port })!;
    await expect(mailer.send(mail)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('durations in Go form', () => {
  it.each([
    [1_200_000, '20m0s'],
    [3_600_000, '1h0m0s'],
    [5_400_000, '1h30m0s'],
    [45_000, '45s'],
    [61_500, '1m1.5s'],
    [250, '250ms'],
    [0, '0s'],
    [86_400_000, '24h0m0s'],
  ])('%i ms is %s', (ms, text) => {
    expect(goDuration(ms)).toBe(text);
  });
});
