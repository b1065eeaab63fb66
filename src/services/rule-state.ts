/** How a rule stands with one robot. */
export interface RuleState {
  /** Its alert is open, or about to be. */
  open: boolean;
  /** Since when the condition has held, by the time that the rule goes by; null while it does not. */
  since: number | null;
  /** No alert opens before this time of the server. */
  quietUntil: number;
  /** Grows with every turn from or to `open`, so that the end of an earlier one is not taken for that of the last. */
  turns: number;
}

/** What the conditions of a rule give for a sample; undefined is unknown. */
export interface RuleOutcome {
  holds: boolean | undefined;
  /** Undefined also for a rule without a condition of its own to clear. */
  clears: boolean | undefined;
}

export interface RuleTiming {
  for_ms: number;
  /** Whether the rule has a condition of its own to clear. */
  hasClear: boolean;
}

export function idleState(): RuleState {
  return { open: false, since: null, quietUntil: 0, turns: 0 };
}

/**
 * Takes one sample into account and says what must happen to the alert. While something that matters is unknown, nothing
 * does. Between two samples the condition is taken to have held if it holds at both.
 */
export function step(
  { for_ms, hasClear }: RuleTiming,
  state: RuleState,
  { holds, clears }: RuleOutcome,
  at: { timeMs: number; nowMs: number },
): 'open' | 'resolve' | undefined {
  if (state.open) {
    const isOver = hasClear ? clears === true && holds !== true : holds === false;
    if (!isOver) return undefined;
    state.open = false;
    state.since = null;
    state.turns += 1;
    return 'resolve';
  }
  if (holds === undefined) return undefined;
  if (!holds) {
    state.since = null;
    return undefined;
  }
  state.since ??= at.timeMs;
  if (at.timeMs - state.since < for_ms || at.nowMs < state.quietUntil) return undefined;
  state.open = true;
  state.turns += 1;
  return 'open';
}
