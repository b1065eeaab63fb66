import type { NewAuditRow } from '../db/repositories/audit.js';
import type { Clock } from '../lib/clock.js';
import { networkOf } from '../lib/network.js';

/** An entry on its way to the database, or in it. */
export interface Kept {
  row: NewAuditRow;
  /** Known once it is stored. */
  id?: number;
}

/**
 * What bounds the entries that refusals make, since they cost whoever tries them nothing: those of one kind in one
 * minute are one entry with a count.
 */
export interface Repeats {
  /** The entry that stands for this refusal: a new one, to be stored, or one that counts it from now on. */
  fold(row: NewAuditRow): { kept: Kept; isNew: boolean };
  /** Stored entries whose count has changed since. */
  changed(): Required<Kept>[];
  /** Tells that this state of an entry is stored. */
  settle(kept: Kept, row: NewAuditRow): void;
}

export interface RepeatLimits {
  /** Different refusals of one caller in a minute; further ones are told apart by action and outcome alone. */
  perCaller: number;
  /** Different refusals of all callers in a minute; further ones are told apart by who, action and outcome alone. */
  total: number;
}

const MINUTE_MS = 60_000;

export function createRepeats(
  clock: Pick<Clock, 'now'>,
  limits: RepeatLimits = { perCaller: 50, total: 1_000 },
): Repeats {
  const entries = new Map<string, { kept: Kept; count: number }>();
  const callers = new Map<string, number>();
  const changed = new Set<Kept>();
  let minute = Number.NaN;

  function startMinute(): void {
    const now = Math.floor(clock.now() / MINUTE_MS);
    if (now === minute) return;
    minute = now;
    entries.clear();
    callers.clear();
  }

  /** The row as far as it is told apart from others, and the key of that. */
  function coarsened(row: NewAuditRow): { key: string; row: NewAuditRow } {
    const { account_id, actor_kind, actor_id, action, robot_id, subject_id, door, ip } = row;
    const network = networkOf(ip);
    const caller = actor_id ?? network;
    const what = [account_id, actor_kind, actor_id, network, door, action, row.outcome];
    const exact = JSON.stringify([...what, robot_id, subject_id]);
    if (entries.has(exact)) return { key: exact, row };
    const ofCaller = callers.get(caller) ?? 0;
    if (ofCaller < limits.perCaller && entries.size < limits.total) {
      callers.set(caller, ofCaller + 1);
      return { key: exact, row };
    }
    const rough = { ...row, robot_id: null, subject_id: null, details: null };
    const key = JSON.stringify(what);
    if (entries.has(key) || entries.size < limits.total) return { key, row: rough };
    return {
      key: JSON.stringify([account_id, actor_kind, actor_id, action, row.outcome]),
      row: { ...rough, ip: null },
    };
  }

  return {
    fold(given) {
      startMinute();
      const { key, row } = coarsened(given);
      const known = entries.get(key);
      if (!known) {
        const kept = { row };
        entries.set(key, { kept, count: 1 });
        return { kept, isNew: true };
      }
      known.count += 1;
      const { kept } = known;
      const details = kept.row.details == null ? {} : JSON.parse(kept.row.details);
      const last_at = new Date(clock.now()).toISOString();
      kept.row = {
        ...kept.row,
        details: JSON.stringify({ ...details, count: known.count, last_at }),
      };
      changed.add(kept);
      return { kept, isNew: false };
    },
    changed: () => [...changed].filter((kept): kept is Required<Kept> => kept.id !== undefined),
    settle(kept, row) {
      if (kept.row === row) changed.delete(kept);
    },
  };
}
