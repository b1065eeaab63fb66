import { randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type { CreateAlertRuleInput, UpdateAlertRuleInput } from '../contract/alert-rules.js';
import type { Db, Handle } from '../db/client.js';
import { lockAccount } from '../db/repositories/accounts.js';
import {
  type AlertRuleRow,
  countAlertRules,
  deleteAlertRule,
  findAlertRule,
  insertAlertRule,
  listAlertRules,
  updateAlertRule,
} from '../db/repositories/alert-rules.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { AlertLedger } from './alert-ledger.js';
import type { Fleet } from './fleet.js';
import { resolveAll } from './rule-alerts.js';
import type { RuleEngine } from './rule-engine.js';

const RULES_PER_ACCOUNT = 200;

/** The rules that raise alerts by themselves. Another account's are `not_found`. */
export interface AlertRules {
  /** @throws DomainError `forbidden` for one too many; as `fleet.owned` for its robot. */
  create(principal: Principal, input: CreateAlertRuleInput): Promise<AlertRuleRow>;
  /** By name. */
  list(principal: Principal): Promise<AlertRuleRow[]>;
  get(principal: Principal, ruleId: string): Promise<AlertRuleRow>;
  /**
   * What is left out stays as it is. An alert that is open stays open until it is judged by the new condition; those
   * of robots that the rule is no longer about are resolved, and all of them when it is switched off.
   */
  update(principal: Principal, input: UpdateAlertRuleInput): Promise<AlertRuleRow>;
  /** Its open alerts are resolved; what it raised stays in the list. */
  delete(principal: Principal, ruleId: string): Promise<void>;
}

export interface AlertRulesDeps {
  db: Db;
  ledger: AlertLedger;
  fleet: Fleet;
  clock: Clock;
  engine: Pick<RuleEngine, 'put'>;
}

export function createAlertRules({ db, ledger, fleet, clock, engine }: AlertRulesDeps): AlertRules {
  /** Stores changes of a rule, tells the engine, and resolves the alerts that it is no longer about. */
  async function change(
    principal: Principal,
    ruleId: string,
    changes: Partial<AlertRuleRow>,
  ): Promise<AlertRuleRow> {
    const { account_id } = principal;
    const rule = await db.transaction().execute(async (tx) => {
      await lockAccount(tx, account_id);
      const before = await found(tx, principal, ruleId);
      // What was judged by the version before must not pass for this one, in the same millisecond either.
      const updated_at = Math.max(clock.now(), before.updated_at + 1);
      return updateAlertRule(tx, account_id, ruleId, { ...changes, updated_at });
    });
    engine.put(rule);
    const by = { resolved_at: clock.now(), resolved_by: account_id };
    if (rule.enabled === 0) await resolveAll(ledger, account_id, { rule_id: ruleId }, by);
    else if (rule.robot_id !== null) {
      const others = { rule_id: ruleId, except_robot_id: rule.robot_id };
      await resolveAll(ledger, account_id, others, by);
    }
    return rule;
  }

  async function found(tx: Handle, principal: Principal, ruleId: string): Promise<AlertRuleRow> {
    const rule = await findAlertRule(tx, principal.account_id, ruleId);
    if (!rule) throw new DomainError('not_found', 'Alert rule not found');
    return rule;
  }

  return {
    async create(principal, { for_seconds, enabled, ...given }) {
      const { account_id } = principal;
      if (given.robot_id !== null) await fleet.owned(principal, given.robot_id);
      const now = clock.now();
      const rule: AlertRuleRow = {
        ...given,
        id: randomUUID(),
        account_id,
        for_ms: Math.round(for_seconds * 1_000),
        enabled: enabled ? 1 : 0,
        created_at: now,
        updated_at: now,
      };
      await db.transaction().execute(async (tx) => {
        await lockAccount(tx, account_id);
        if ((await countAlertRules(tx, account_id)) >= RULES_PER_ACCOUNT) throw tooMany();
        await insertAlertRule(tx, rule);
      });
      engine.put(rule);
      return rule;
    },

    list: (principal) => listAlertRules(db, principal.account_id, RULES_PER_ACCOUNT),
    get: (principal, ruleId) => found(db, principal, ruleId),

    async update(principal, { rule_id, for_seconds, enabled, ...given }) {
      if (given.robot_id) await fleet.owned(principal, given.robot_id);
      const kept = Object.entries(given).filter(([, value]) => value !== undefined);
      return change(principal, rule_id, {
        ...Object.fromEntries(kept),
        ...(for_seconds !== undefined && { for_ms: Math.round(for_seconds * 1_000) }),
        ...(enabled !== undefined && { enabled: enabled ? 1 : 0 }),
      });
    },

    async delete(principal, ruleId) {
      // Switched off first: if its alerts cannot all be resolved, it can be deleted again.
      await change(principal, ruleId, { enabled: 0 });
      await deleteAlertRule(db, principal.account_id, ruleId);
    },
  };
}

function tooMany(): DomainError {
  const message = `An account has at most ${RULES_PER_ACCOUNT} alert rules; delete one first`;
  return new DomainError('forbidden', message, { limit: 'alert_rules_per_account' });
}
