import { beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../../src/lib/logger.js';
import { startApp, useApp } from '../../support/app.js';
import { contractDoors } from '../../support/contract-doors.js';
import { describeEachDatabase } from '../../support/databases.js';
import { createStoppedClock } from '../../support/identity.js';
import { startSmtp } from '../../support/smtp.js';

const SEND_CODE = 'POST /api/v1/auth/register/send-code';
const REGISTER = 'POST /api/v1/auth/register';
const LOGIN = 'POST /api/v1/auth/login';
const UUID = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const password = 'a good password';

describeEachDatabase('the contract, public', (kind) => {
  const secrets = {
    admin: { username: 'boss', password: 'word-of-the-admin' },
    email: { smtp_host: 'smtp.internal.example', username: 'mailer', password: 'word-of-the-mail' },
    livekit: {
      api_key: 'key-of-livekit',
      api_secret: 'word-of-livekit',
      host: 'wss://sfu.example',
    },
  };
  const app = useApp(kind, { config: secrets });

  describe.each(contractDoors)('through %s', (name, open) => {
    const call = open(app, null);
    /** REST has one sentence for what is missing; tRPC names each field. */
    const missing = (error: string) => ({
      status: 400,
      error: name === 'REST' ? error : expect.any(String),
    });

    it('GET /api/v1/config: features, LiveKit host, ICE servers, limits; no secret', async () => {
      const { status, data } = await call('GET /api/v1/config');
      expect({ status, data }).toMatchObject({
        status: 200,
        data: {
          ...{ name: 'Fleetwire', version: '0.0.0-test' },
          features: {
            ...{ email_verification_required: true, robot_quota_enabled: true },
            ...{ rate_limiting_enabled: false, registration_enabled: false },
          },
          livekit: { host: 'wss://sfu.example' },
          ice_servers: expect.any(Array),
          limits: {
            ...{ robots_per_account: 1_000, requests_per_second: 200 },
            ...{ body_bytes: 1_048_576, batch_samples: 1_000 },
          },
        },
      });
      expect(JSON.stringify(data)).not.toMatch(/boss|word-of|key-of|mailer|internal/);
    });

    it('POST /api/v1/auth/login', async () => {
      const email = `${name}@example.com`.toLowerCase();
      const { account_id, token } = await app().addAccount(email);
      expect(await call(LOGIN, { username: email, password })).toEqual({
        status: 200,
        data: { message: 'Login successful', account_id, certification_key: token },
      });
      expect(await call(LOGIN, secrets.admin)).toEqual({
        status: 200,
        data: {
          ...{ message: 'Login successful (Admin)', account_id: 'ADMIN-001' },
          certification_key: UUID,
        },
      });
      for (const username of [email, 'nobody@example.com', 'boss']) {
        expect(await call(LOGIN, { username, password: 'wrong' })).toEqual({
          ...{ status: 401, error: 'Invalid username or password' },
        });
      }
      for (const body of [{}, { username: email }, { password }]) {
        expect(await call(LOGIN, body)).toEqual(missing('Username and password are required'));
      }
    });

    it('registration is off by default', async () => {
      const disabled = { status: 403, error: 'Registration is disabled' };
      const email = 'new@example.com';
      expect(await call(SEND_CODE, { email })).toEqual(disabled);
      expect(await call(REGISTER, { email, password, code: '123456' })).toEqual(disabled);
    });

    it('GET /api/v1/schemas and /{id}', async () => {
      const { data } = await call('GET /api/v1/schemas');
      const ids = data.schemas.map(({ id }: { id: string }) => id);
      expect(ids).toEqual(expect.arrayContaining(['register_robot_request', 'robot_status']));
      for (const schema of data.schemas) {
        expect(schema).toMatchObject({
          ...{ title: expect.any(String), method: 'POST' },
          endpoint: expect.stringMatching(/^\/api\/v1\/[a-z_/{}]+$/),
        });
        const document = await call('GET /api/v1/schemas/{id}', undefined, { id: schema.id });
        expect(document).toMatchObject({
          ...{ status: 200, data: { type: 'object', example: schema.example } },
        });
      }
      expect(await call('GET /api/v1/schemas/{id}', undefined, { id: 'nothing' })).toEqual({
        ...{ status: 404, error: 'Schema not found' },
      });
    });
  });
});

describeEachDatabase('the contract, registration', (kind) => {
  const features = { registration_enabled: true };

  describe.each(contractDoors)('through %s', (_name, open) => {
    let clock: ReturnType<typeof createStoppedClock>;
    beforeEach(() => {
      clock = createStoppedClock();
    });

    it('POST /api/v1/auth/register/send-code, then /register', async () => {
      const { email: smtp, received } = await startSmtp();
      const app = await startApp(kind, { clock, config: { features, email: smtp } });
      const call = open(() => app, null);
      const codeOf = (at: number) => /code is (\d{6})\./.exec(received.at(at)?.text ?? '')?.[1];
      const email = 'ann@example.com';
      expect(await call(SEND_CODE, { email })).toEqual({
        status: 200,
        data: { message: 'Verification code sent', expires_in: '20m0s' },
      });
      const invalid = { status: 400, error: 'Invalid verification code' };
      const wrong = codeOf(0) === '000000' ? '000001' : '000000';
      expect(await call(REGISTER, { email, password, code: wrong })).toEqual(invalid);
      expect(await call(REGISTER, { email, password })).toEqual(invalid);
      const made = await call(REGISTER, { email, password, code: codeOf(0) });
      expect(made).toEqual({
        status: 200,
        data: {
          message: 'Account created successfully',
          account_id: expect.stringMatching(/^ACC-\d{8}-\d{6}/),
          certification_key: UUID,
        },
      });
      const taken = { status: 409, error: 'Email already registered' };
      expect(await call(SEND_CODE, { email })).toEqual(taken);
      expect(await call(REGISTER, { email, password, code: codeOf(0) })).toEqual(taken);
      const own = open(() => app, made.data.certification_key);
      expect((await own('GET /api/v1/robots')).data).toEqual({ robots: [], count: 0 });

      await call(SEND_CODE, { email: 'bob@example.com' });
      clock.advance(20 * 60_000);
      const late = { email: 'bob@example.com', password, code: codeOf(1) };
      expect(await call(REGISTER, late)).toEqual({
        ...{ status: 400, error: 'Verification code expired' },
      });
    });

    it('without SMTP the code is in the log, in development alone', async () => {
      for (const environment of ['development', 'production'] as const) {
        const lines: string[] = [];
        const log = createLogger('info', { write: (line) => void lines.push(line) });
        const server = { environment };
        const app = await startApp(kind, { log, config: { features, server } });
        const call = open(() => app, null);
        const email = 'ann@example.com';
        const sent = await call(SEND_CODE, { email });
        const code = /ann@example\.com: (\d{6})/.exec(lines.join())?.[1];
        if (environment === 'production') {
          expect([sent.status, code]).toEqual([503, undefined]);
        } else {
          expect(sent.status).toBe(200);
          expect((await call(REGISTER, { email, password, code })).status).toBe(200);
        }
      }
    });
  });
});
