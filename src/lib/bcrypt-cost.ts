/** Each step doubles the time of a check; at 15 it is some seconds. */
export const BCRYPT_COST_LIMIT = 15;

/** The cost that a bcrypt hash was made with, 4 to 31; undefined for what is none. */
export function bcryptCost(passwordHash: string): number | undefined {
  const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(passwordHash)?.[1];
  if (cost === undefined) return undefined;
  const value = Number(cost);
  return value >= 4 && value <= 31 ? value : undefined;
}
