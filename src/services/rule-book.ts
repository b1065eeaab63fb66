import { RULE_VARIABLES } from '../contract/alert-rules.js';
import type { AlertRuleRow } from '../db/repositories/alert-rules.js';
import { compileExpression, type Expression } from '../lib/expression.js';
import type { FleetRobot } from './fleet.js';
import { idleState, type RuleState } from './rule-state.js';

/** A rule in force, ready to be judged often. */
export interface LiveRule {
  row: AlertRuleRow;
  condition: Expression;
  clear: Expression | null;
  /** Such a rule is also judged when nothing arrives, and goes by the server's time. */
  usesPresence: boolean;
  /** Forgotten together with the robots. */
  states: WeakMap<FleetRobot, RuleState>;
}

/** The rules in force, in memory, by account. */
export interface RuleBook {
  /** Undefined for an account without any. */
  ofAccount(accountId: string): readonly LiveRule[] | undefined;
  find(accountId: string, ruleId: string): LiveRule | undefined;
  /**
   * Takes a rule in, or its new version. Which alerts are open is kept, how long a condition has held is not.
   * @throws ExpressionError for a condition that is none.
   */
  put(row: AlertRuleRow): LiveRule;
  remove(accountId: string, ruleId: string): void;
}

export function createRuleBook(robots: () => Iterable<FleetRobot>): RuleBook {
  const accounts = new Map<string, LiveRule[]>();

  function remove(accountId: string, ruleId: string): void {
    const others = accounts.get(accountId)?.filter(({ row }) => row.id !== ruleId) ?? [];
    // An account without rules costs its samples one look-up and nothing else.
    if (others.length > 0) accounts.set(accountId, others);
    else accounts.delete(accountId);
  }

  function find(accountId: string, ruleId: string): LiveRule | undefined {
    return accounts.get(accountId)?.find(({ row }) => row.id === ruleId);
  }

  return {
    ofAccount: (accountId) => accounts.get(accountId),
    find,
    remove,
    put(row) {
      const before = find(row.account_id, row.id);
      if (before && before.row.updated_at > row.updated_at) return before;
      const rule = compileRule(row);
      for (const robot of before ? robots() : []) {
        const state = before?.states.get(robot);
        if (!state || !isAbout(rule, robot)) continue;
        // The same object, because a turn that is under way will settle it.
        state.since = null;
        rule.states.set(robot, state);
      }
      remove(row.account_id, row.id);
      accounts.set(row.account_id, [...(accounts.get(row.account_id) ?? []), rule]);
      return rule;
    },
  };
}

function compileRule(row: AlertRuleRow): LiveRule {
  const condition = compileExpression(row.condition, RULE_VARIABLES);
  const clear =
    row.clear_condition === null ? null : compileExpression(row.clear_condition, RULE_VARIABLES);
  const usesPresence = condition.variables.has('presence') || !!clear?.variables.has('presence');
  return { row, condition, clear, usesPresence, states: new WeakMap() };
}

export function isAbout({ row }: LiveRule, robot: FleetRobot): boolean {
  return row.robot_id === null || row.robot_id === robot.row.id;
}

export function stateOf(rule: LiveRule, robot: FleetRobot): RuleState {
  let state = rule.states.get(robot);
  if (!state) {
    state = idleState();
    rule.states.set(robot, state);
  }
  return state;
}
