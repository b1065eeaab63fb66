import type { Db } from '../db/client.js';
import { type AlertRuleRow, enabledAlertRules } from '../db/repositories/alert-rules.js';
import { type AlertRow, openRuleAlerts } from '../db/repositories/alerts.js';
import type { Clock } from '../lib/clock.js';
import type { ExpressionScope } from '../lib/expression.js';
import type { Logger } from '../lib/logger.js';
import type { AlertLedger } from './alert-ledger.js';
import type { Fleet, FleetRobot } from './fleet.js';
import { offlineAfterMs } from './presence.js';
import { BY_RULE, resolveAll } from './rule-alerts.js';
import { createRuleBook, isAbout, type LiveRule, stateOf } from './rule-book.js';
import { createRuleQueue, type JudgedSample, type RuleWork } from './rule-queue.js';
import { step } from './rule-state.js';
import { createRuleTurns } from './rule-turns.js';

/** What ingest knows of rules. */
export interface SampleWatcher {
  /** Whether the account has rules: one look-up. */
  watches(accountId: string): boolean;
  /**
   * Takes note of samples that were stored just now, before the robot's newest is replaced by them; they are judged
   * later, in the order of their times. Those that are older than the newest are not. Never throws, never waits.
   */
  sampled(robot: FleetRobot, samples: readonly JudgedSample[]): void;
}

/** Judges what arrives by the rules of its account, beside ingest and never in its way. */
export interface RuleEngine extends SampleWatcher {
  /** Call it once, when the fleet is loaded: takes in the rules in force, and which of their alerts are open. */
  load(): Promise<void>;
  /** A robot's presence is another than it was. */
  presenceChanged(robot: FleetRobot): void;
  /** Call it after the commit of a rule that was made or changed. */
  put(row: AlertRuleRow): void;
  /** Somebody resolved an alert by hand. */
  alertResolved(alert: AlertRow): void;
  /** Judges silent robots every second. The function it returns stops that, and resolves when all that came in is done. */
  start(): () => Promise<void>;
}

export interface RuleEngineDeps {
  db: Db;
  ledger: AlertLedger;
  fleet: Fleet;
  clock: Clock;
  log: Logger;
  /** As for presences. */
  timeoutMs: number;
}

/** What rules judge: a robot as it was at a time. */
interface Sight {
  scope: ExpressionScope;
  nowMs: number;
  recordedMs: number;
}

const TICK_MS = 1_000;
/** How long a rule rests after its alert could not be stored. */
const RETRY_MS = 5_000;

export function createRuleEngine(deps: RuleEngineDeps): RuleEngine {
  const { db, ledger, fleet, clock, log, timeoutMs } = deps;
  const book = createRuleBook(fleet.all);
  const turns = createRuleTurns({ ledger, clock, log });
  const queue = createRuleQueue({ judge, log, clock });
  const startedMs = clock.now();
  /** Robots of which time alone can change what a rule says. */
  const silent = new Set<FleetRobot>();

  /**
   * Unknown for a robot that was never heard of, and after a start until it was heard of or had time to be: else every
   * restart would find the whole fleet offline.
   */
  function presenceOf(robot: FleetRobot, now: number): FleetRobot['presence'] | undefined {
    const { last_seen_at, presence } = robot;
    if (last_seen_at === null) return undefined;
    const isEarly = now - startedMs < offlineAfterMs(robot, timeoutMs);
    return last_seen_at < startedMs && isEarly ? undefined : presence;
  }

  function judge({ robot, sample }: RuleWork): void {
    silent.delete(robot);
    if (fleet.get(robot.row.id) !== robot || turns.isFull()) return;
    const rules = book
      .ofAccount(robot.row.account_id)
      ?.filter((rule) => isAbout(rule, robot) && (sample || rule.usesPresence));
    if (!rules?.length) return;
    const nowMs = clock.now();
    const { status_json, timestamp } = sample ??
      robot.latest ?? { status_json: '{}', timestamp: 0 };
    const scope: ExpressionScope = {
      root: JSON.parse(status_json),
      variables: { presence: presenceOf(robot, nowMs) },
    };
    for (const rule of rules) judgeBy(rule, robot, { scope, nowMs, recordedMs: timestamp });
  }

  function judgeBy(rule: LiveRule, robot: FleetRobot, sight: Sight): void {
    const { row, condition, clear } = rule;
    const { scope, nowMs, recordedMs } = sight;
    const state = stateOf(rule, robot);
    const timing = { for_ms: row.for_ms, hasClear: clear !== null };
    const outcome = { holds: condition.test(scope), clears: clear?.test(scope) };
    const timeMs = rule.usesPresence ? nowMs : recordedMs;
    const kind = step(timing, state, outcome, { timeMs, nowMs });
    waitInSilence(rule, robot);
    if (kind === undefined) return;
    const turn = state.turns;
    const values = condition.values(scope);
    turns.add(
      { kind, rule: row, robot_id: robot.row.id, values, recorded_at: recordedMs },
      (end) => {
        if (state.turns !== turn) return;
        state.open = end?.open ?? kind === 'resolve';
        state.quietUntil = end ? (end.quietUntil ?? state.quietUntil) : nowMs + RETRY_MS;
        waitInSilence(rule, robot);
      },
    );
  }

  function waitInSilence(rule: LiveRule, robot: FleetRobot): void {
    const state = stateOf(rule, robot);
    if (rule.usesPresence && !state.open && state.since !== null) silent.add(robot);
  }

  function lookAt(robot: FleetRobot): void {
    if (book.ofAccount(robot.row.account_id)?.some(({ usesPresence }) => usesPresence)) {
      queue.add({ robot });
    }
  }

  function take(row: AlertRuleRow): LiveRule | undefined {
    try {
      return book.put(row);
    } catch (error) {
      // The contract lets none in; an adopted or a newer database may hold one all the same.
      log.error({ err: error, rule_id: row.id }, 'an alert rule is not understood');
      return undefined;
    }
  }

  return {
    async load() {
      const inForce = new Map<string, AlertRuleRow>();
      for (const row of await enabledAlertRules(db)) {
        inForce.set(row.id, row);
        take(row);
      }
      for (const { account_id, rule_id, robot_id } of await openRuleAlerts(db)) {
        const row = inForce.get(rule_id);
        if (!row || (row.robot_id !== null && row.robot_id !== robot_id)) {
          // The server stopped between the end of the rule and that of its alerts.
          const by = { resolved_at: startedMs, resolved_by: BY_RULE };
          await resolveAll(ledger, account_id, { rule_id, robot_id }, by);
          continue;
        }
        const robot = fleet.get(robot_id);
        const rule = book.find(account_id, rule_id);
        if (rule && robot) stateOf(rule, robot).open = true;
      }
    },
    watches: (accountId) => book.ofAccount(accountId) !== undefined,
    sampled(robot, samples) {
      const newestMs = robot.latest?.timestamp ?? Number.NEGATIVE_INFINITY;
      const fresh = samples.filter(({ timestamp }) => timestamp >= newestMs);
      fresh.sort((a, b) => a.timestamp - b.timestamp);
      for (const sample of fresh) queue.add({ robot, sample });
    },
    presenceChanged: lookAt,
    put(row) {
      if (row.enabled === 0) return book.remove(row.account_id, row.id);
      if (!take(row)?.usesPresence) return;
      for (const robot of fleet.all()) {
        if (robot.row.account_id === row.account_id) queue.add({ robot });
      }
    },
    alertResolved({ account_id, rule_id, robot_id }) {
      const robot = fleet.get(robot_id);
      const rule = rule_id === null ? undefined : book.find(account_id, rule_id);
      if (!rule || !robot) return;
      const state = stateOf(rule, robot);
      Object.assign(state, { open: false, since: null, turns: state.turns + 1 });
      lookAt(robot);
    },
    start() {
      const early = new Set([...fleet.all()].filter(({ last_seen_at }) => last_seen_at !== null));
      const stop = clock.every(TICK_MS, () => {
        const now = clock.now();
        for (const robot of early) {
          if (now - startedMs < offlineAfterMs(robot, timeoutMs)) continue;
          early.delete(robot);
          lookAt(robot);
        }
        for (const robot of silent) lookAt(robot);
      });
      return async () => {
        stop();
        queue.finish();
        await turns.idle();
      };
    },
  };
}
