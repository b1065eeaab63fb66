import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { AlertLedger } from './alert-ledger.js';
import { GROUP_ALERTS, type RuleTurn, type TurnResult, turnAlert } from './rule-alerts.js';

/** The alerts that rules open and resolve, stored in order, some at a time. */
export interface RuleTurns {
  /** `settle` is told how things stand once the turn is stored, or could not be (undefined). */
  add(turn: RuleTurn, settle: (result: TurnResult | undefined) => void): void;
  isFull(): boolean;
  /** Resolves when everything that was added is settled. */
  idle(): Promise<void>;
}

interface Entry {
  turn: RuleTurn;
  settle: (result: TurnResult | undefined) => void;
}

const WAITING_LIMIT = 10_000;

export function createRuleTurns(deps: {
  ledger: AlertLedger;
  clock: Clock;
  log: Logger;
}): RuleTurns {
  const { ledger, clock, log } = deps;
  const waiting: Entry[] = [];
  let running: Promise<void> | undefined;

  async function store(group: readonly Entry[]): Promise<TurnResult[]> {
    return ledger.write(async (tx, changed) => {
      const results: TurnResult[] = [];
      for (const { turn } of group) results.push(await turnAlert(tx, changed, turn, clock.now()));
      return results;
    });
  }

  /** One turn that cannot be stored, such as that of a robot that is gone, must not keep the others from it. */
  async function storeAlone(entry: Entry): Promise<void> {
    try {
      const [result] = await store([entry]);
      entry.settle(result);
    } catch (error) {
      const { rule, robot_id, kind } = entry.turn;
      log.error({ err: error, rule_id: rule.id, robot_id, kind }, 'a rule could not act');
      entry.settle(undefined);
    }
  }

  /** A network that fails makes a thousand robots fall silent at once: one group of their alerts is stored at a time. */
  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, GROUP_ALERTS);
      const results = await store(group).catch(() => undefined);
      for (const [at, entry] of group.entries()) {
        if (results) entry.settle(results[at]);
        else await storeAlone(entry);
      }
    }
    running = undefined;
  }

  return {
    add(turn, settle) {
      waiting.push({ turn, settle });
      running ??= run();
    },
    isFull: () => waiting.length >= WAITING_LIMIT,
    async idle() {
      await running;
    },
  };
}
