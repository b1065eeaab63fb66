import { describe, expect, it } from 'vitest';
import type { AlertRuleRow } from '../../src/db/repositories/alert-rules.js';
import { ExpressionError } from '../../src/lib/expression.js';
import type { FleetRobot } from '../../src/services/fleet.js';
import { createRuleBook, isAbout, stateOf } from '../../src/services/rule-book.js';

const ROW: AlertRuleRow = {
  id: 'rule',
  account_id: 'owner',
  robot_id: null,
  name: 'Low',
  condition: 'battery_level < 20',
  clear_condition: null,
  severity: 'info',
  for_ms: 0,
  cooldown_minutes: 0,
  enabled: 1,
  created_at: 1,
  updated_at: 1,
};
const robotOf = (id: string) => ({ row: { id, account_id: 'owner' } }) as FleetRobot;
const [r1, r2] = [robotOf('r1'), robotOf('r2')];

describe('the rules in memory', () => {
  it('are those of an account; one without any has nothing', () => {
    const book = createRuleBook(() => []);
    expect(book.ofAccount('owner')).toBeUndefined();
    const [first, second] = [book.put(ROW), book.put({ ...ROW, id: 'second' })];
    expect(book.ofAccount('owner')).toEqual([first, second]);
    expect(book.ofAccount('other')).toBeUndefined();
    expect(book.find('owner', 'second')).toBe(second);
    expect(book.find('other', 'second')).toBeUndefined();
    book.remove('owner', 'rule');
    book.remove('owner', 'second');
    expect(book.ofAccount('owner')).toBeUndefined();
  });

  it('take a newer version in and no older one', () => {
    const book = createRuleBook(() => []);
    book.put({ ...ROW, updated_at: 2, name: 'new' });
    book.put({ ...ROW, updated_at: 1, name: 'old' });
    expect(book.ofAccount('owner')).toMatchObject([{ row: { name: 'new' } }]);
    book.put({ ...ROW, updated_at: 3, name: 'newest' });
    expect(book.ofAccount('owner')).toMatchObject([{ row: { name: 'newest' } }]);
  });

  it('keep which alerts are open in a new version, for the robots that it is about', () => {
    const book = createRuleBook(() => [r1, r2]);
    const before = book.put(ROW);
    for (const robot of [r1, r2]) {
      Object.assign(stateOf(before, robot), { open: true, since: 5, turns: 1 });
    }
    const after = book.put({ ...ROW, robot_id: 'r1', updated_at: 2 });
    expect([isAbout(after, r1), isAbout(after, r2)]).toEqual([true, false]);
    expect(stateOf(after, r1)).toBe(stateOf(before, r1));
    expect(stateOf(after, r1)).toMatchObject({ open: true, since: null, turns: 1 });
    expect(stateOf(after, r2)).toMatchObject({ open: false, turns: 0 });
  });

  it('know who looks at presence, in either condition', () => {
    const book = createRuleBook(() => []);
    expect(book.put(ROW).usesPresence).toBe(false);
    const clear_condition = 'presence == "online"';
    expect(book.put({ ...ROW, clear_condition, updated_at: 2 }).usesPresence).toBe(true);
    const condition = '$.presence == "online"';
    expect(book.put({ ...ROW, condition, updated_at: 3 }).usesPresence).toBe(false);
  });

  it('stay as they are when a condition is not understood', () => {
    const book = createRuleBook(() => []);
    const rule = book.put(ROW);
    expect(() => book.put({ ...ROW, condition: 'a =', updated_at: 2 })).toThrow(ExpressionError);
    expect(book.ofAccount('owner')).toEqual([rule]);
  });
});
