/** How an instant was written, for people. */
export interface ReadInstant {
  ms: number;
  form: string;
}

const TEXT =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(?: ?(Z|[+-]\d\d:?\d\d(?::?\d\d)?)( [A-Z+\-\d]+)?)?( m=[+-][\d.]+)?$/;
const FIRST_MS = -62_135_596_800_000;
const LATEST_MS = 253_402_300_799_999;
/** From here on an integer is milliseconds, below it seconds: as the original's SQLite driver reads them. */
const MILLISECONDS_FROM = 1_000_000_000_000;

/**
 * An instant as GORM's drivers store them: text with an offset, with `Z`, with Go's own name of the zone, without any
 * (then it is UTC, as the driver reads it), a day alone, or seconds or milliseconds since the epoch. What is finer than
 * a millisecond is cut off. Undefined for anything else, and for a time that does not exist.
 */
export function readInstant(value: unknown): ReadInstant | undefined {
  if (typeof value === 'number') return readNumber(value);
  if (typeof value !== 'string') return undefined;
  const parts = TEXT.exec(value);
  if (!parts) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = ''] = parts;
  const [zone, name, monotonic] = parts.slice(8);
  const [h, m, s] = [Number(hour), Number(minute), Number(second)];
  if (h > 23 || m > 59 || s > 59) return undefined;
  const midnight = dayMs(Number(year), Number(month), Number(day));
  const offsetMs = readOffset(zone);
  if (midnight === undefined || offsetMs === undefined) return undefined;
  const millisecond = Number(fraction.slice(0, 3).padEnd(3, '0'));
  const ms = midnight + ((h * 60 + m) * 60 + s) * 1_000 + millisecond - offsetMs;
  if (ms < FIRST_MS || ms > LATEST_MS) return undefined;
  return { ms, form: formOf(zone, name !== undefined || monotonic !== undefined) };
}

function readNumber(value: number): ReadInstant | undefined {
  const isMs = Math.abs(value) >= MILLISECONDS_FROM;
  const ms = Math.floor(isMs ? value : value * 1_000);
  if (!(ms >= FIRST_MS && ms <= LATEST_MS)) return undefined;
  return { ms, form: isMs ? 'milliseconds since the epoch' : 'seconds since the epoch' };
}

/** Midnight of a day in UTC; undefined for one that does not exist. */
function dayMs(year: number, month: number, day: number): number | undefined {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return exists ? date.getTime() : undefined;
}

function readOffset(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === 'Z') return 0;
  const digits = zone.slice(1).replaceAll(':', '').padEnd(6, '0');
  const [h, m, s] = [0, 2, 4].map((at) => Number(digits.slice(at, at + 2)));
  if (h === undefined || m === undefined || s === undefined || h > 23 || m > 59 || s > 59) {
    return undefined;
  }
  const ms = ((h * 60 + m) * 60 + s) * 1_000;
  return zone.startsWith('-') ? -ms : ms;
}

function formOf(zone: string | undefined, isGoText: boolean): string {
  if (zone === undefined) return 'text without a zone, taken as UTC';
  return isGoText ? `Go's own text, ${zone}` : `text, ${zone}`;
}
