import { z } from 'zod';
import { type Findings, show } from './findings.js';
import * as k from './kinds.js';
import type { Settings } from './schema.js';
import { didYouMean, nearest } from './suggest.js';

/** The documented APIs that a listener can serve alone; each is mounted below `/compat/<name>`. */
export const LISTENER_APIS = ['kairoio', 'kaamos', 'relay'] as const;
export type ListenerApi = (typeof LISTENER_APIS)[number];

/** A further address that the server listens on. */
export interface Listener {
  port: number;
  host: string;
  /** The one API that is served there, at its documented paths; null is everything. */
  api: ListenerApi | null;
  /** The files of a certificate and its key, PEM; null is without TLS. */
  tls: { cert: string; key: string } | null;
}

/** A listener as it was written. */
export type ListenerEntry = ReadonlyMap<string, unknown>;

const LIMIT = 16;
const WANTED = `a list of at most ${LIMIT} listeners, such as [{"port": 8443, "tls": {"cert": "cert.pem", "key": "key.pem"}}]`;
const WILDCARDS = ['0.0.0.0', '::'];

const path = k.text('the path of a PEM file', /\S/);
const FIELDS = {
  port: k.integer(0, 65_535),
  host: k.text('an address to listen on', /^\S+$/),
  api: k.choice(...LISTENER_APIS),
  tls: { schema: z.unknown(), unit: '' },
};
const TLS_FIELDS = { cert: path, key: path };

/** A YAML list of maps, or JSON text of the same form. What is in each entry is judged by `resolveListeners`. */
export function listenerEntries(): k.Kind<ListenerEntry[]> {
  const schema = z.unknown().transform((raw, context) => {
    const list = typeof raw === 'string' ? parseJson(raw) : raw;
    const entries = Array.isArray(list) && list.length <= LIMIT ? list.map(entryOf) : [undefined];
    const known = entries.filter((entry) => entry !== undefined);
    if (known.length === entries.length) return known;
    context.addIssue({ code: 'custom', message: WANTED });
    return z.NEVER;
  });
  return { schema, unit: 'list; JSON in the variable' };
}

/** Judges every entry, and that no two want the same port. What is found names the entry, counted from 1. */
export function resolveListeners({ server }: Settings, findings: Findings): Listener[] {
  const taken = [{ name: 'server.port', host: server.host, port: server.port }];
  return server.listeners.map((entry, index) => {
    const name = `entry ${index + 1}`;
    const complain = (sentence: string) => {
      findings.problem('server.listeners', `${name}${sentence}`);
    };
    const fields = readFields(entry, FIELDS, '', complain);
    if (!entry.has('port')) complain(', port: missing; write the port to listen on');
    const { port = 0, host = server.host, api = null } = fields;
    const other = taken.find((one) => port !== 0 && one.port === port && overlap(one.host, host));
    if (other) complain(`, port: ${port} is that of ${other.name} already; write another one`);
    taken.push({ name, host, port });
    return { port, host, api, tls: entry.has('tls') ? readTls(entry.get('tls'), complain) : null };
  });
}

function readTls(value: unknown, complain: (sentence: string) => void): Listener['tls'] {
  const map = entryOf(value);
  if (!map) {
    complain(`, tls: got ${show(value, false)}; write a map with cert and key`);
    return null;
  }
  for (const key of ['cert', 'key']) {
    if (!map.has(key)) complain(`, tls.${key}: missing; write the path of a PEM file`);
  }
  const { cert = '', key = '' } = readFields(map, TLS_FIELDS, 'tls.', complain);
  return { cert, key };
}

type Values<T extends Record<string, k.Kind<unknown>>> = {
  [Name in keyof T]?: z.output<T[Name]['schema']>;
};

/** The fields that are right. An unknown one is a problem: a misspelt `tls` would serve without it. */
function readFields<T extends Record<string, k.Kind<unknown>>>(
  entry: ListenerEntry,
  known: T,
  prefix: string,
  complain: (sentence: string) => void,
): Values<T> {
  const values: Record<string, unknown> = {};
  for (const [name, value] of entry) {
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!kind) {
      const names = Object.keys(known);
      const hint = didYouMean(nearest(name, names)) || `; known are ${names.join(', ')}`;
      complain(`: unknown key ${/^\w{1,32}$/.test(name) ? prefix + name : '(not shown)'}${hint}`);
      continue;
    }
    const parsed = kind.schema.safeParse(value);
    if (parsed.success) values[name] = parsed.data;
    else {
      const wanted = parsed.error.issues[0]?.message;
      complain(`, ${prefix}${name}: got ${show(value, false)}; write ${wanted}`);
    }
  }
  return values as Values<T>;
}

function overlap(one: string, other: string): boolean {
  return one === other || WILDCARDS.includes(one) || WILDCARDS.includes(other);
}

function entryOf(value: unknown): ListenerEntry | undefined {
  if (value instanceof Map) return value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
