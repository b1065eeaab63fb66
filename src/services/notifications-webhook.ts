import { createHmac } from 'node:crypto';
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { isPublicAddress } from '../lib/public-address.js';
import { type TargetRules, urlProblem } from './notifications-target.js';

const TIMEOUT_MS = 10_000;
const RESPONSE_LIMIT_BYTES = 64 * 1_024;
const SECRET_PREFIX = 'whsec_';
const NOT_PUBLIC = 'ENOTPUBLIC';

/** How an attempt ended that was not broken off. `error` never holds what the other side said beyond its status. */
export type Attempt =
  | { ok: true }
  | {
      ok: false;
      error: string;
      /** How long the receiver asked to be left alone. */
      retryAfterMs?: number | undefined;
      /** The receiver wants nothing ever again. */
      isGone?: boolean;
    };

export interface WebhookCall {
  url: string;
  /** `whsec_` and the key in base64. */
  secret: string;
  id: string;
  body: string;
  /** Milliseconds since the epoch. */
  sent_at: number;
}

/**
 * Sends one call as Standard Webhooks has it: JSON by POST, signed over id, time and body. Follows no redirect, reads no
 * more than 64 KiB of the answer and waits no longer than 10 s. A name is resolved once, what it resolves to is judged,
 * and that is where the call goes.
 * @throws the reason of `signal` when that broke it off; everything else is an outcome.
 */
export type WebhookSender = (call: WebhookCall, signal: AbortSignal) => Promise<Attempt>;

export interface WebhookSenderOptions {
  rules: TargetRules;
  userAgent: string;
  timeoutMs?: number;
  /** All addresses of a name; by default what this machine says. */
  resolve?: Resolve;
}

type Resolve = (
  hostname: string,
  answer: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export function createWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { rules, userAgent, timeoutMs = TIMEOUT_MS, resolve = resolveBySystem } = options;
  const lookup = lookupOf(resolve, rules);

  return async (call, signal) => {
    const problem = urlProblem(call.url, rules);
    if (problem) return { ok: false, error: `The target ${problem}` };
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const response = await post(AbortSignal.any([signal, late]));
      return judge(response, call.sent_at);
    } catch (error) {
      signal.throwIfAborted();
      if (late.aborted) return { ok: false, error: `No answer within ${timeoutMs / 1_000} s` };
      return { ok: false, error: describe(error) };
    }

    function post(gone: AbortSignal): Promise<IncomingMessage> {
      const url = new URL(call.url);
      const timestamp = String(Math.floor(call.sent_at / 1_000));
      return new Promise((done, fail) => {
        const request: ClientRequest = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
          url,
          {
            method: 'POST',
            agent: false,
            signal: gone,
            lookup,
            headers: {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(call.body),
              'user-agent': userAgent,
              'webhook-id': call.id,
              'webhook-timestamp': timestamp,
              'webhook-signature': sign(call.secret, `${call.id}.${timestamp}.${call.body}`),
            },
          },
          (response) => {
            discard(response);
            done(response);
          },
        );
        request.on('error', fail);
        request.end(call.body);
      });
    }
  };
}

/** `v1,` and the HMAC-SHA256 of `content` in base64. */
export function sign(secret: string, content: string): string {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
}

export function secretOf(key: Buffer): string {
  return SECRET_PREFIX + key.toString('base64');
}

/** Lets an answer arrive without keeping it; how it ends is of no interest once its status is known. */
function discard(response: IncomingMessage): void {
  let bytes = 0;
  response.on('error', () => {});
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > RESPONSE_LIMIT_BYTES) response.destroy();
  });
}

function judge({ statusCode = 0, headers }: IncomingMessage, now: number): Attempt {
  if (statusCode >= 200 && statusCode < 300) return { ok: true };
  const error = `The target answered ${statusCode}`;
  if (statusCode === 410) {
    return { ok: false, error: `${error}; the channel was switched off`, isGone: true };
  }
  const isRedirect = statusCode >= 300 && statusCode < 400;
  return {
    ok: false,
    error: isRedirect ? `${error}; redirects are not followed` : error,
    retryAfterMs: retryAfterMs(headers['retry-after'], now),
  };
}

/** `Retry-After` in either of its forms: seconds, or a date. */
function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  if (code !== NOT_PUBLIC) return `The target could not be reached (${code})`;
  return 'The target is not on the open internet; notifications.allow_private_targets would allow it';
}

const resolveBySystem: Resolve = (hostname, answer) =>
  systemLookup(hostname, { all: true }, answer);

/** What a connection asks for the addresses of its name: those it is given are the ones that were judged. */
function lookupOf(resolve: Resolve, { allowPrivate }: TargetRules): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, addresses) => {
      if (error) return callback(error, []);
      if (!allowPrivate && !addresses.every(({ address }) => isPublicAddress(address))) {
        return callback(Object.assign(new Error('not public'), { code: NOT_PUBLIC }), []);
      }
      if (options.all) return callback(null, addresses);
      const { address, family } = addresses[0] as LookupAddress;
      callback(null, address, family);
    });
  };
}
