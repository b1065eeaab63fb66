export type Relation = '>=' | '<=' | '=';

/** One promise, what was measured for it, and whether it is kept. */
export interface Verdict {
  name: string;
  relation: Relation;
  must: number;
  measured: number;
  unit: string;
  /** `speed` depends on the machine and is excused in a quick run; `truth` (a lost row) never is. */
  kind: 'speed' | 'truth';
  kept: boolean;
}

export function judge(
  name: string,
  measured: number,
  relation: Relation,
  must: number,
  options: { unit?: string; kind?: 'speed' | 'truth' } = {},
): Verdict {
  const kept =
    relation === '>=' ? measured >= must : relation === '<=' ? measured <= must : measured === must;
  return {
    name,
    relation,
    must,
    measured,
    unit: options.unit ?? '',
    kind: options.kind ?? 'speed',
    kept,
  };
}

/** The exit code of a run: 1 when a promise is broken, where a quick run excuses the numbers but not the truths. */
export function exitCode(verdicts: readonly Verdict[], quick: boolean): 0 | 1 {
  return verdicts.some((verdict) => !verdict.kept && (verdict.kind === 'truth' || !quick)) ? 1 : 0;
}
