/**
 * What adopting does with a row that is not as it should be: `rejected` rows go to the table of that purpose, `deleted`
 * ones were deleted in the original and stay in the backup alone, `changed` ones are taken over with a change. A
 * `problem` is for somebody to look at, a `note` is not.
 */
export type FindingKind = 'rejected' | 'problem' | 'changed' | 'deleted' | 'note';

export interface Finding {
  kind: FindingKind;
  table: string;
  /** A sentence about all of its rows. */
  what: string;
  rows: number;
  /** The keys of the first of them. */
  examples: string[];
}

export interface Findings {
  add(kind: FindingKind, table: string, what: string, key: string): void;
  list(): Finding[];
}

const EXAMPLES = 3;
const EXAMPLE_LIMIT_CHARACTERS = 60;
const ORDER: readonly FindingKind[] = ['problem', 'rejected', 'deleted', 'changed', 'note'];

export function createFindings(): Findings {
  const found = new Map<string, Finding>();
  return {
    add(kind, table, what, key) {
      const name = `${kind} ${table} ${what}`;
      let finding = found.get(name);
      if (!finding) {
        finding = { kind, table, what, rows: 0, examples: [] };
        found.set(name, finding);
      }
      finding.rows += 1;
      if (finding.examples.length < EXAMPLES) {
        finding.examples.push(key.slice(0, EXAMPLE_LIMIT_CHARACTERS));
      }
    },
    list: () => [...found.values()].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)),
  };
}
