import { describe, expect, it } from 'vitest';
import { idleState, type RuleOutcome, step } from '../../src/services/rule-state.js';

type Sample = [timeMs: number, holds: boolean | undefined, clears?: boolean | undefined];

/** What each sample of a robot does to the alert of a rule. */
function play(
  samples: readonly Sample[],
  { for_ms = 0, hasClear = false, state = idleState() } = {},
): (string | undefined)[] {
  return samples.map(([timeMs, holds, clears]) => {
    const outcome: RuleOutcome = { holds, clears };
    return step({ for_ms, hasClear }, state, outcome, { timeMs, nowMs: timeMs });
  });
}

describe('the state of a rule', () => {
  it('opens when the condition holds and resolves when it does not, once each', () => {
    const samples: Sample[] = [
      [1, false],
      [2, true],
      [3, true],
      [4, false],
      [5, false],
      [6, true],
    ];
    expect(play(samples)).toEqual([undefined, 'open', undefined, 'resolve', undefined, 'open']);
  });

  it('stays as it is while something is unknown', () => {
    const samples: Sample[] = [
      [1, undefined],
      [2, true],
      [3, undefined],
      [4, true],
      [5, false],
      [6, undefined],
    ];
    expect(play(samples)).toEqual([undefined, 'open', undefined, undefined, 'resolve', undefined]);
  });

  it('opens when the condition has held for long enough', () => {
    const samples: Sample[] = [
      [1_000, true],
      [10_999, true],
      [11_000, true],
    ];
    expect(play(samples, { for_ms: 10_000 })).toEqual([undefined, undefined, 'open']);
  });

  it('begins anew when the condition did not hold in between, and not when that is unknown', () => {
    const samples = (middle: boolean | undefined): Sample[] => [
      [1_000, true],
      [5_000, middle],
      [11_000, true],
      [20_999, true],
      [21_000, true],
    ];
    const broken = [undefined, undefined, undefined, undefined, 'open'];
    expect(play(samples(false), { for_ms: 10_000 })).toEqual(broken);
    const held = [undefined, undefined, 'open', undefined, undefined];
    expect(play(samples(undefined), { for_ms: 10_000 })).toEqual(held);
  });

  it('resolves by a condition of its own, if there is one, and not while the first holds', () => {
    const samples: Sample[] = [
      [1, true, false],
      [2, false, false],
      [3, true, true],
      [4, undefined, true],
    ];
    expect(play(samples, { hasClear: true })).toEqual(['open', undefined, undefined, 'resolve']);
    const unknown: Sample[] = [
      [1, true, false],
      [2, false, undefined],
    ];
    expect(play(unknown, { hasClear: true })).toEqual(['open', undefined]);
  });

  it('does not open in its quiet time, and does right after it', () => {
    const state = { ...idleState(), quietUntil: 100 };
    const samples: Sample[] = [
      [98, true],
      [99, true],
      [100, true],
    ];
    expect(play(samples, { state })).toEqual([undefined, undefined, 'open']);
  });
});
