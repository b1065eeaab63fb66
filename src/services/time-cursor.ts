import { DomainError } from '../lib/errors.js';

/** A place in a list that is ordered by time and then id. */
export interface TimeCursor {
  timestamp: number;
  id: number;
}

/** As it goes over the wire. */
export function formatTimeCursor({ timestamp, id }: TimeCursor): string {
  return `${timestamp}.${id}`;
}

/** @throws DomainError `invalid_input`. */
export function parseTimeCursor(cursor: string): TimeCursor {
  const [timestamp, id, ...rest] = cursor.split('.').map(Number);
  if (Number.isSafeInteger(timestamp) && Number.isSafeInteger(id) && rest.length === 0) {
    return { timestamp: timestamp as number, id: id as number };
  }
  throw new DomainError('invalid_input', 'cursor: is not one that this server gave out');
}
