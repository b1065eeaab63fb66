import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Login, NewApiKey, Whoami } from '../contract/access.js';
import { PublicConfig } from '../contract/system.js';
import { SimulationError } from './failure.js';
import type { Link, Reply } from './link.js';
import type { Notices } from './notices.js';

/** Who the simulator is to the server. */
export type Access = { token: string } | { username: string; password: string };

export interface Enrolment {
  /** True when every robot gets a key of its own, so that the server counts each by itself. */
  ownKeys: boolean;
  /** Requests per second that the server allows one credential; Infinity when it counts none. */
  requestsPerSecond: number;
  /** Registers the robot and gives the token it is to use; doing it again gives a new one. */
  enrol(robotId: string): Promise<string>;
  /** Revokes the robots' keys; those that cannot be expire by themselves. */
  revokeKeys(): Promise<void>;
}

export interface EnrolmentOptions {
  link: Link;
  url: string;
  access: Access;
  keyLifeSeconds: number;
  notices: Notices;
  signal: AbortSignal;
}

/** The share of a credential's limit that is used for registering: the credential may be in use elsewhere. */
const PACE = 0.8;
const PATIENCE_MS = 1_000;
const REVOKE_PATIENCE_MS = 5_000;
const REVOKE_AT_ONCE = 8;

/**
 * Logs in and learns what the server allows.
 * @throws SimulationError when nothing answers there, or the credential cannot register robots.
 */
export async function openEnrolment(options: EnrolmentOptions): Promise<Enrolment> {
  const { link, url, access, keyLifeSeconds, notices, signal } = options;
  const robotKeys = new Map<string, { id: string; key: string }>();

  const config = read(
    PublicConfig,
    await link.call('GET', '/api/v1/config'),
    `No Fleetwire answers at ${url}; start it (npm start), or name another with --url`,
  );
  const requestsPerSecond = config.features.rate_limiting_enabled
    ? config.limits.requests_per_second
    : Number.POSITIVE_INFINITY;
  let token = await logIn();
  const who = read(
    Whoami,
    await link.call('GET', '/api/v1/auth/whoami', { token }),
    'The token is not accepted',
  );
  if (!who.scopes.includes('robots:write')) {
    throw new SimulationError(
      who.robot_id === null
        ? 'This key lacks the scope robots:write, which registering robots needs'
        : `This is the key of the robot ${who.robot_id} alone; use the key of an account`,
    );
  }
  const ownKeys = who.scopes.includes('keys:write');

  async function logIn(): Promise<string> {
    if ('token' in access) return access.token;
    const call = () => link.call('POST', '/api/v1/auth/login', { body: access });
    return read(Login, await persist(call), `Login as ${access.username} failed`).certification_key;
  }

  /** Repeats a call until the server is there and has time for it. */
  async function persist(call: () => Promise<Reply>): Promise<Reply> {
    for (;;) {
      const reply = await call();
      if (reply.kind !== 'lost') notices.reached();
      if (reply.kind === 'ok') return reply;
      let waitMs = PATIENCE_MS;
      if (reply.kind === 'lost') {
        notices.lost(reply.message);
      } else {
        if (reply.status !== 429 && reply.status !== 503) return reply;
        waitMs = reply.retryAfterMs ?? PATIENCE_MS;
        notices.slowDown(reply.message, waitMs);
      }
      await sleep(waitMs, undefined, { signal });
    }
  }

  let nextCallMs = 0;
  /** Spreads the calls of the one credential, so that they stay below its limit. */
  async function pace(): Promise<void> {
    const now = performance.now();
    nextCallMs = Math.max(now, nextCallMs + 1_000 / (requestsPerSecond * PACE));
    if (nextCallMs > now) await sleep(nextCallMs - now, undefined, { signal });
  }

  async function ask(method: string, path: string, body: unknown): Promise<Reply> {
    async function call(): Promise<Reply> {
      await pace();
      return link.call(method, path, { token, body });
    }
    const reply = await persist(call);
    if (reply.kind !== 'refused' || reply.status !== 401 || 'token' in access) return reply;
    token = await logIn();
    return persist(call);
  }

  return {
    ownKeys,
    requestsPerSecond,
    async enrol(robotId) {
      const robot = {
        robot_id: robotId,
        robot_type: 'mobile_robot',
        robot_name: `Simulated ${robotId}`,
      };
      const registered = await ask('POST', '/api/v1/robots', robot);
      if (registered.kind === 'refused' && registered.status === 409) {
        throw new SimulationError(`${robotId}: ${registered.message}; choose another --prefix`);
      }
      read(z.unknown(), registered, `${robotId} cannot be registered`);
      if (!ownKeys) return token;
      const wanted = { name: 'simulator', robot_id: robotId, expires_in_seconds: keyLifeSeconds };
      const created = await ask('POST', '/api/v1/keys', wanted);
      const { id, key } = read(NewApiKey, created, `${robotId} cannot have a key`);
      robotKeys.set(robotId, { id, key });
      return key;
    },
    async revokeKeys() {
      const ids = [...robotKeys.values()].map(({ id }) => id);
      const untilMs = performance.now() + REVOKE_PATIENCE_MS;
      async function revokeSome(): Promise<void> {
        for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
          const reply = await link.call('DELETE', `/api/v1/keys/${id}`, { token });
          if (reply.kind === 'lost' || performance.now() > untilMs) return;
        }
      }
      await Promise.all(Array.from({ length: REVOKE_AT_ONCE }, revokeSome));
    },
  };
}

/** The data of an answer in its documented form. @throws SimulationError that begins with `problem`. */
function read<T>(schema: z.ZodType<T>, reply: Reply, problem: string): T {
  if (reply.kind !== 'ok') throw new SimulationError(`${problem}: ${reply.message}`);
  const data = schema.safeParse(reply.data);
  if (data.success) return data.data;
  throw new SimulationError(`${problem}: the answer is not in the form of Fleetwire`);
}
