import { expect, it } from 'vitest';
import type { AlertRuleRow } from '../../src/db/repositories/alert-rules.js';
import { insertAlertRule } from '../../src/db/repositories/alert-rules.js';
import { createMemoryHub } from '../../src/realtime/hub.js';
import { createAlertLedger } from '../../src/services/alert-ledger.js';
import { createJournal } from '../../src/services/journal.js';
import type { TurnResult } from '../../src/services/rule-alerts.js';
import { createRuleTurns } from '../../src/services/rule-turns.js';
import { describeEachDatabase } from '../support/databases.js';
import { NOON_MS, useFleetDatabase } from '../support/fleet-database.js';
import { createLogBook, createStoppedClock } from '../support/identity.js';

describeEachDatabase('the turns of rules', (kind) => {
  const fleet = useFleetDatabase(kind);

  async function stage(account_id: string) {
    const { handle, addAccount } = fleet();
    const { db, batch } = handle;
    await addAccount(account_id);
    const rule: AlertRuleRow = {
      id: `rule of ${account_id}`,
      account_id,
      robot_id: null,
      name: 'Low',
      condition: 'a < 1',
      clear_condition: null,
      severity: 'info',
      for_ms: 0,
      cooldown_minutes: 0,
      enabled: 1,
      created_at: NOON_MS,
      updated_at: NOON_MS,
    };
    await insertAlertRule(db, rule);
    const clock = createStoppedClock();
    const { lines, log } = createLogBook();
    const told: string[] = [];
    const journal = createJournal({ db, batch, hub: createMemoryHub(), clock });
    const ledger = createAlertLedger({
      journal,
      observers: [
        { onChange: async (_tx, alert, change) => void told.push(`${change} ${alert.robot_id}`) },
      ],
    });
    const turns = createRuleTurns({ ledger, clock, log });
    const results: (TurnResult | undefined)[] = [];
    function add(kind: 'open' | 'resolve', robot_id: string, row = rule): void {
      const turn = { kind, rule: row, robot_id, values: { a: 0 }, recorded_at: NOON_MS };
      turns.add(turn, (result) => void results.push(result));
    }
    const stored = () =>
      db
        .selectFrom('alerts')
        .select(['robot_id', 'status', 'count'])
        .where('account_id', '=', account_id)
        .orderBy('robot_id')
        .execute();
    return { rule, turns, add, results, stored, told, lines };
  }

  it('are stored in order, many at once', async () => {
    const { turns, add, results, stored, told } = await stage('a');
    const robots = Array.from({ length: 30 }, (_, at) => `a${String(at).padStart(2, '0')}`);
    for (const robot of robots) await fleet().addRobot('a', robot);
    for (const robot of robots) add('open', robot);
    for (const robot of robots.slice(0, 10)) add('resolve', robot);
    await turns.idle();
    expect(results).toHaveLength(40);
    expect(await stored()).toEqual(
      robots.map((robot_id, at) => ({
        robot_id,
        status: at < 10 ? 'resolved' : 'active',
        count: 1,
      })),
    );
    expect(told).toEqual([
      ...robots.map((robot) => `opened ${robot}`),
      ...robots.slice(0, 10).map((robot) => `resolved ${robot}`),
    ]);
  });

  it('do not fail for one that cannot be stored', async () => {
    const { turns, add, results, stored, lines } = await stage('b');
    await fleet().addRobot('b', 'b1');
    await fleet().addRobot('b', 'b3');
    // The first is a group of its own, the others go together.
    for (const robot of ['b1', 'b1', 'gone', 'b3']) add('open', robot);
    await turns.idle();
    expect(results.map((result) => result?.open)).toEqual([true, true, undefined, true]);
    expect(await stored()).toEqual([
      { robot_id: 'b1', status: 'active', count: 2 },
      { robot_id: 'b3', status: 'active', count: 1 },
    ]);
    expect(lines.filter((line) => line.includes('a rule could not act'))).toHaveLength(1);
  });

  it('open nothing for a rule that was changed meanwhile', async () => {
    const { turns, add, results, stored, rule } = await stage('c');
    await fleet().addRobot('c', 'c1');
    add('open', 'c1', { ...rule, updated_at: NOON_MS - 1 });
    add('open', 'c1', { ...rule, id: 'no such rule' });
    await turns.idle();
    expect(results).toEqual([{ open: false }, { open: false }]);
    expect(await stored()).toEqual([]);
  });
});
