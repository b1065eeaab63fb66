/** The q-quantile (0..1) of an ascending list by the nearest-rank rule; NaN of an empty list. */
export function percentile(ascending: ArrayLike<number>, q: number): number {
  if (ascending.length === 0) return Number.NaN;
  const rank = Math.ceil(q * ascending.length);
  return ascending[Math.min(Math.max(rank, 1), ascending.length) - 1] as number;
}

/** Mean of the two middle values for an even count; NaN of an empty list. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const ascending = [...values].sort((a, b) => a - b);
  const upper = ascending.length >> 1;
  const high = ascending[upper] as number;
  return ascending.length % 2 === 1 ? high : ((ascending[upper - 1] as number) + high) / 2;
}

/**
 * Median of value/base taken round by round: both halves of each ratio ran next to each other, so that a machine which
 * is slower in one round than in the next does not move the result.
 */
export function medianOfRatios(values: readonly number[], bases: readonly number[]): number {
  if (values.length !== bases.length) {
    throw new Error(`${values.length} rounds cannot be compared with ${bases.length}`);
  }
  return median(values.map((value, round) => value / (bases[round] as number)));
}

/** Grows as needed and sorts once at the end: exact percentiles at a cost of one store per sample. */
export class Latencies {
  #values = new Float64Array(1 << 16);
  #count = 0;

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = ms;
  }

  ascending(): Float64Array {
    return this.#values.slice(0, this.#count).sort();
  }
}
