import { randomUUID } from 'node:crypto';
import { RULE_KEY } from '../contract/alerts.js';
import { toInstant } from '../contract/common.js';
import type { Handle } from '../db/client.js';
import { type AlertRuleRow, findAlertRule } from '../db/repositories/alert-rules.js';
import {
  lastRaisedByRule,
  type OpenAlerts,
  raiseAlert,
  resolveAlerts,
} from '../db/repositories/alerts.js';
import type { AlertLedger, ReportChange } from './alert-ledger.js';

/** What `resolved_by` says of an alert that its rule resolved. */
export const BY_RULE = 'rule';
const MINUTE_MS = 60_000;

/** A rule's alert for a robot that is to open or to be resolved. */
export interface RuleTurn {
  kind: 'open' | 'resolve';
  rule: AlertRuleRow;
  robot_id: string;
  /** What the condition looked at. */
  values: Record<string, unknown>;
  /** When the robot recorded that. */
  recorded_at: number;
}

export interface TurnResult {
  open: boolean;
  /** Set when no alert may open before then. */
  quietUntil?: number;
}

/** Makes one turn, in the ledger's transaction. The rule and its cooldown are judged by what is stored. */
export async function turnAlert(
  tx: Handle,
  changed: ReportChange,
  turn: RuleTurn,
  nowMs: number,
): Promise<TurnResult> {
  return turn.kind === 'open' ? open(tx, changed, turn, nowMs) : resolve(tx, changed, turn, nowMs);
}

async function open(
  tx: Handle,
  changed: ReportChange,
  turn: RuleTurn,
  nowMs: number,
): Promise<TurnResult> {
  const { rule, robot_id } = turn;
  const { account_id, id: rule_id } = rule;
  const stored = await findAlertRule(tx, account_id, rule_id);
  if (stored?.enabled !== 1 || stored.updated_at !== rule.updated_at) return { open: false };
  const cooldownMs = rule.cooldown_minutes * MINUTE_MS;
  const since = nowMs - cooldownMs;
  const last = await lastRaisedByRule(tx, { account_id, robot_id, rule_id, since });
  if (last !== undefined) return { open: false, quietUntil: last + cooldownMs };
  const { alert, change } = await raiseAlert(tx, {
    id: randomUUID(),
    account_id,
    robot_id,
    rule_id,
    alert_type: 'rule',
    severity: rule.severity,
    message: messageOf(turn),
    metadata: JSON.stringify({
      rule: rule.name,
      condition: rule.condition,
      values: turn.values,
      recorded_at: toInstant(turn.recorded_at),
    }),
    status: 'active',
    created_at: nowMs,
    last_seen_at: nowMs,
    dedup_key: `${RULE_KEY}${rule_id}`,
  });
  await changed(alert, change);
  return { open: true, quietUntil: nowMs + cooldownMs };
}

async function resolve(
  tx: Handle,
  changed: ReportChange,
  { rule, robot_id }: RuleTurn,
  nowMs: number,
): Promise<TurnResult> {
  const by = { resolved_at: nowMs, resolved_by: BY_RULE };
  const which = { rule_id: rule.id, robot_id };
  await resolveSome(tx, changed, rule.account_id, which, by);
  return { open: false };
}

/** How many alerts change in one transaction: it is in the journal, which commands wait for as well. */
export const GROUP_ALERTS = 8;

/** Resolves the alerts of a rule that are open, some at a time, each group in a transaction of its own. */
export async function resolveAll(
  ledger: AlertLedger,
  accountId: string,
  which: OpenAlerts,
  by: Resolution,
): Promise<void> {
  let count: number;
  do {
    count = await ledger.write((tx, changed) => resolveSome(tx, changed, accountId, which, by));
  } while (count === GROUP_ALERTS);
}

type Resolution = { resolved_at: number; resolved_by: string };

async function resolveSome(
  tx: Handle,
  changed: ReportChange,
  accountId: string,
  which: OpenAlerts,
  by: Resolution,
): Promise<number> {
  const resolved = await resolveAlerts(tx, accountId, which, by, GROUP_ALERTS);
  for (const alert of resolved) await changed(alert, 'resolved');
  return resolved.length;
}

function messageOf({ rule, robot_id, values }: RuleTurn): string {
  const observed = Object.entries(values).map(
    ([path, value]) => `${path}: ${JSON.stringify(value)}`,
  );
  return `Rule "${rule.name}" on ${robot_id}: ${rule.condition} (${observed.join(', ')})`;
}
