import type { Alert, AlertChange, AlertEvent } from '../contract/alerts.js';
import { toInstant } from '../contract/common.js';
import type { Handle } from '../db/client.js';
import type { AlertRow } from '../db/repositories/alerts.js';
import type { Journal } from './journal.js';

/**
 * Told of alerts that open, become more severe, are acknowledged, or are resolved (not of other repeats), whoever did it. What it writes is
 * committed with the change or not at all.
 */
export interface AlertObserver {
  /**
   * Called in the transaction of the change: use `tx` alone, be brief, and never write to the journal from within.
   * What it throws undoes the change.
   */
  onChange(tx: Handle, alert: AlertRow, change: Exclude<AlertChange, 'repeated'>): Promise<void>;
  /** Called after the commit of a transaction in which `onChange` was. Must not throw. */
  onCommitted?(): void;
}

/** The way every alert changes: the row, what its watchers are told, and what observers add are one transaction. */
export interface AlertLedger {
  /**
   * Runs `work` in a transaction of its own, which reports each alert that it changed, as it is then. As for
   * `Journal.write`: keep it short, and never call it from within.
   */
  write<T>(work: (tx: Handle, changed: ReportChange) => Promise<T>): Promise<T>;
}
export type ReportChange = (alert: AlertRow, change: AlertChange) => Promise<void>;

export interface AlertLedgerDeps {
  journal: Journal;
  observers: readonly AlertObserver[];
}

export function createAlertLedger({ journal, observers }: AlertLedgerDeps): AlertLedger {
  return {
    async write(work) {
      let observed = false;
      const result = await journal.write((tx, record) =>
        work(tx, async (alert, change) => {
          const { account_id, robot_id } = alert;
          record({ stream: 'alerts', account_id, robot_id, payload: alertEvent(alert, change) });
          if (change === 'repeated') return;
          observed = true;
          for (const observer of observers) await observer.onChange(tx, alert, change);
        }),
      );
      if (observed) for (const observer of observers) observer.onCommitted?.();
      return result;
    },
  };
}

function alertEvent(alert: AlertRow, change: AlertChange): AlertEvent {
  return { type: 'alert', change, ...alertOnWire(alert) };
}

/** A stored alert in the shape of every wire. */
export function alertOnWire(row: AlertRow): Alert {
  return {
    id: row.id,
    robot_id: row.robot_id,
    account_id: row.account_id,
    alert_type: row.alert_type,
    severity: row.severity,
    message: row.message,
    metadata: readMetadata(row.metadata),
    status: row.status,
    count: row.count,
    dedup_key: row.dedup_key,
    rule_id: row.rule_id,
    created_at: toInstant(row.created_at),
    // Rows that are older than the column hold 0.
    last_seen_at: toInstant(Math.max(row.created_at, row.last_seen_at)),
    acknowledged_at: instantOrNull(row.acknowledged_at),
    acknowledged_by: row.acknowledged_by,
    resolved_at: instantOrNull(row.resolved_at),
    resolved_by: row.resolved_by,
  };
}

/** An adopted database may hold text that is no JSON. */
function readMetadata(text: string | null): unknown {
  if (text === null || text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function instantOrNull(ms: number | null): string | null {
  return ms === null ? null : toInstant(ms);
}
