import { DomainError } from '../lib/errors.js';

/** A place in a list that is ordered by time and then id: `<milliseconds>.<id>` on the wire. */
export function formatCursor(time: number, id: number | string): string {
  return `${time}.${id}`;
}

/** For lists by recorded time, whose ids are numbers. @throws DomainError `invalid_input`. */
export function parseTimeCursor(cursor: string): { timestamp: number; id: number } {
  const { time, id } = parse(cursor);
  const number = /^\d{1,16}$/.test(id) ? Number(id) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw notOurs();
  return { timestamp: time, id: number };
}

/** For lists by the time they were made, whose ids are texts. @throws DomainError `invalid_input`. */
export function parseCreatedCursor(cursor: string): { created_at: number; id: string } {
  const { time, id } = parse(cursor);
  return { created_at: time, id };
}

function parse(cursor: string): { time: number; id: string } {
  // A database that came from elsewhere has ids of any characters, but none has this one.
  const [, time, id] = /^(-?\d{1,16})\.([^\0]+)$/s.exec(cursor) ?? [];
  if (id === undefined || !Number.isSafeInteger(Number(time))) throw notOurs();
  return { time: Number(time), id };
}

function notOurs(): DomainError {
  return new DomainError('invalid_input', 'cursor: is not one that this server gave out');
}
