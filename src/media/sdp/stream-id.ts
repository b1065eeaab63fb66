import { createHash } from 'node:crypto';

const LENGTH = 64;

/**
 * A member's or track's id as it may stand in a=msid: `[\w-]`, so that no id can add lines to the text.
 * An id that had to be changed gets a hash of the original, so that two of them stay two.
 */
export function streamId(id: string): string {
  if (/^[\w-]+$/.test(id) && id.length <= LENGTH) return id;
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 12);
  return `${id.replace(/[^\w-]/g, '_').slice(0, LENGTH - 13)}-${hash}`;
}
