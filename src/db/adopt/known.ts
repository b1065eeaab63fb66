/** What is known of the original while it is being read, because later rows refer to earlier ones. */
export interface Known {
  nowMs: number;
  /** A new random certification key. */
  newKey(): string;
  /** Ids of the accounts that are taken over. */
  accounts: Set<string>;
  /** The robots that are taken over, each with its account. */
  robots: Map<string, string>;
  /** What was deleted in the original, so that what belongs to it is not brought back either. */
  deletedAccounts: Set<string>;
  deletedRobots: Set<string>;
  keys: Set<string>;
  emails: Set<string>;
  /** Addresses with a verification code. */
  codes: Set<string>;
  /** How many of each kind of password hash. */
  passwordHashes: Map<string, number>;
}

export function createKnown(nowMs: number, newKey: () => string): Known {
  return {
    nowMs,
    newKey,
    accounts: new Set(),
    robots: new Map(),
    deletedAccounts: new Set(),
    deletedRobots: new Set(),
    keys: new Set(),
    emails: new Set(),
    codes: new Set(),
    passwordHashes: new Map(),
  };
}
