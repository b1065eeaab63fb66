import type { Principal } from '../contract/access.js';
import { type AuditEntry, AuditEntry as AuditEntryShape } from '../contract/audit.js';
import { plainText, toInstant } from '../contract/common.js';
import type { Db } from '../db/client.js';
import {
  type AuditRow,
  auditPage,
  insertAuditEntries,
  type NewAuditRow,
  setAuditDetails,
} from '../db/repositories/audit.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import { ADMIN_ID } from './accounts.js';
import { createRepeats, type Kept, type RepeatLimits } from './audit-repeats.js';

/** What was done, or tried. Texts may be as the caller sent them; they are cut and cleaned here. */
export interface AuditEvent {
  /** Null for a caller who proved to be nobody: `tried` or the account in `subject_id` says whose log it belongs in. */
  principal: Principal | null;
  /** The name that somebody tried to log in with. It is kept nowhere, only the account that has it. */
  tried?: string | undefined;
  /** Such as `command.send`. */
  action: string;
  robot_id: string | null;
  subject_id: string | null;
  door: AuditEntry['door'];
  ip: string;
  /** `ok`, or the code of the refusal. */
  outcome: string;
  /** Must hold no secret. */
  details: Record<string, unknown> | null;
}

export interface AuditFilter {
  action?: string | undefined;
  robot_id?: string | undefined;
  actor_id?: string | undefined;
  /** Milliseconds since the epoch; both ends belong to the range. */
  start?: number | undefined;
  end?: number | undefined;
}

/**
 * Who did what to which robot. What was done is stored when `record` resolves, so a caller who has an answer has an
 * entry. What was refused is stored within a second, and repeats within a minute are one entry with a count. While the
 * database takes no entries up to 10,000 wait in memory and are tried again every second: nobody's operation fails for
 * its entry, and one is lost only if the process ends before the database is back.
 */
export interface Audit {
  /** Never rejects. */
  record(event: AuditEvent): Promise<void>;
  /** A page of the account's entries, newest first. @throws DomainError `invalid_input` for a cursor that is none. */
  list(
    principal: Principal,
    query: AuditFilter & { limit: number; cursor?: string | null | undefined },
  ): Promise<{ entries: AuditEntry[]; next_cursor: string | null }>;
  /** All of the account's entries, newest first, a page in memory at a time. */
  pages(principal: Principal, filter: AuditFilter): AsyncIterable<AuditEntry[]>;
  /** Stores what waits. */
  close(): Promise<void>;
}

export interface AuditDeps {
  db: Db;
  clock: Clock;
  log: Logger;
  /** The account that a login name belongs to. */
  accountIdOf: (username: string) => Promise<string | undefined>;
  repeats?: RepeatLimits;
}

const TICK_MS = 1_000;
const WAITING_LIMIT = 10_000;
/** Rows of one statement, whose bound parameters are limited. */
const INSERT_ROWS = 500;
const UPDATE_ROWS = 200;
const PAGE_ROWS = 500;

export function createAudit({ db, clock, log, accountIdOf, repeats: limits }: AuditDeps): Audit {
  const repeats = createRepeats(clock, limits);
  let waiting: { kept: Kept; done: () => void }[] = [];
  let writing: Promise<void> | undefined;
  let lost = 0;
  const refusals = new Set<Promise<void>>();
  const stop = clock.every(TICK_MS, () => void write());

  async function writeEntries(): Promise<void> {
    for (let batch = waiting.slice(0, INSERT_ROWS); batch.length > 0; ) {
      const ids = await insertAuditEntries(
        db,
        batch.map(({ kept }) => kept.row),
      );
      for (const [at, { kept, done }] of batch.entries()) {
        kept.id = ids[at] as number;
        done();
      }
      waiting = waiting.slice(batch.length);
      batch = waiting.slice(0, INSERT_ROWS);
    }
  }

  async function writeCounts(): Promise<void> {
    const changed = repeats.changed().map((kept) => ({ kept, id: kept.id, row: kept.row }));
    for (let from = 0; from < changed.length; from += UPDATE_ROWS) {
      const some = changed.slice(from, from + UPDATE_ROWS);
      await setAuditDetails(
        db,
        some.map(({ id, row }) => ({ id, details: row.details ?? null })),
      );
      for (const { kept, row } of some) repeats.settle(kept, row);
    }
  }

  async function writeAll(): Promise<void> {
    try {
      do {
        await writeEntries();
        await writeCounts();
      } while (waiting.length > 0);
    } catch (error) {
      log.error({ err: error, waiting: waiting.length }, 'audit entries could not be stored');
      for (const { done } of waiting) done();
    }
    // In the same turn as the last look at what waits, so that nothing is left behind.
    writing = undefined;
  }

  function write(): Promise<void> {
    writing ??= writeAll();
    return writing;
  }

  function store(kept: Kept): Promise<void> {
    if (waiting.length >= WAITING_LIMIT) {
      lost += 1;
      if (lost === 1 || lost % 1_000 === 0) log.error({ lost }, 'audit entries are lost');
      return Promise.resolve();
    }
    const stored = new Promise<void>((done) => void waiting.push({ kept, done }));
    void write();
    return stored;
  }

  async function recordRefusal(event: AuditEvent): Promise<void> {
    const { tried, outcome } = event;
    // One that was refused unheard costs no look-up.
    const known = tried !== undefined && outcome !== 'rate_limited';
    const accountId = known ? await accountIdOf(tried).catch(() => undefined) : undefined;
    const { kept, isNew } = repeats.fold(rowOf(event, accountId ?? null, clock.now()));
    if (isNew) await store(kept);
  }

  return {
    async record(event) {
      if (event.outcome === 'ok')
        return store({ row: rowOf(event, event.subject_id, clock.now()) });
      // Not waited for: nothing has changed, and how long it takes would tell whether a name has an account.
      const refusal = recordRefusal(event).finally(() => refusals.delete(refusal));
      refusals.add(refusal);
    },
    async list(principal, { limit, cursor, ...filter }) {
      const range = { account_id: principal.account_id, ...filter };
      const before = cursor == null ? undefined : parseCursor(cursor);
      const rows = await auditPage(db, range, limit, before);
      const last = rows.at(-1);
      const next_cursor = rows.length === limit && last ? String(last.id) : null;
      return { entries: rows.map(toWire), next_cursor };
    },
    async *pages(principal, filter) {
      const range = { account_id: principal.account_id, ...filter };
      let rows = await auditPage(db, range, PAGE_ROWS);
      yield rows.map(toWire);
      for (let last = rows.at(-1); rows.length === PAGE_ROWS && last; last = rows.at(-1)) {
        rows = await auditPage(db, range, PAGE_ROWS, last.id);
        yield rows.map(toWire);
      }
    },
    async close() {
      stop();
      await Promise.all(refusals);
      await write();
      // What came while the last write was under way.
      await write();
    },
  };
}

const LONGEST = { id: 128, ip: 64, details: 4_000 };

function rowOf(event: AuditEvent, accountId: string | null, created_at: number): NewAuditRow {
  const { principal, action, robot_id, door, ip, outcome, details } = event;
  const who = principal
    ? {
        account_id: principal.account_id,
        actor_kind: principal.kind,
        actor_id: principal.key_id ?? principal.account_id,
        subject_id: event.subject_id,
      }
    : {
        // The operator's log has what was tried by nobody at nobody.
        account_id: accountId ?? ADMIN_ID,
        actor_kind: outcome === 'ok' ? 'account' : 'anonymous',
        actor_id: outcome === 'ok' ? accountId : null,
        subject_id: accountId,
      };
  const text = details && JSON.stringify(details);
  return {
    ...who,
    created_at,
    action,
    robot_id: cleaned(robot_id, LONGEST.id),
    subject_id: cleaned(who.subject_id, LONGEST.id),
    door,
    ip: cleaned(ip, LONGEST.ip),
    outcome,
    details: text !== null && text.length > LONGEST.details ? null : text,
  };
}

/** What either database can store. */
function cleaned(text: string | null, longest: number): string | null {
  return text === null ? null : plainText(longest).parse(text.slice(0, longest));
}

function toWire(row: AuditRow): AuditEntry {
  const { account_id: _, created_at, details, ...entry } = row;
  return AuditEntryShape.parse({
    ...entry,
    created_at: toInstant(created_at),
    details: details === null ? null : JSON.parse(details),
  });
}

function parseCursor(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new DomainError('invalid_input', 'cursor: is not one that this server gave out');
}
