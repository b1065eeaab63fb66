import { describe, expect, it } from 'vitest';
import { exitCode, judge } from '../../bench/lib/verdict.js';

describe('judge', () => {
  it('keeps the limit itself', () => {
    expect(judge('ratio', 0.55, '>=', 0.55).kept).toBe(true);
    expect(judge('ratio', 0.549, '>=', 0.55).kept).toBe(false);
    expect(judge('time', 10, '<=', 10).kept).toBe(true);
    expect(judge('time', 10.1, '<=', 10).kept).toBe(false);
    expect(judge('lost', 1, '=', 0).kept).toBe(false);
  });

  it('never keeps what was not measured', () => {
    expect(judge('ratio', Number.NaN, '>=', 0.55).kept).toBe(false);
    expect(judge('time', Number.NaN, '<=', 10).kept).toBe(false);
  });
});

describe('exitCode', () => {
  const slow = judge('ratio', 0.1, '>=', 0.55);
  const lost = judge('lost', 1, '=', 0, { kind: 'truth' });
  const kept = judge('ratio', 0.9, '>=', 0.55);

  it('is 1 below a limit and 0 above all', () => {
    expect(exitCode([kept, slow], false)).toBe(1);
    expect(exitCode([kept], false)).toBe(0);
  });

  it('excuses the numbers of a quick run, not its lost rows', () => {
    expect(exitCode([kept, slow], true)).toBe(0);
    expect(exitCode([kept, lost], true)).toBe(1);
  });
});
