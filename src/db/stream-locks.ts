/**
 * Advisory locks, one a durable stream, held from before an id is drawn until its commit is seen: PostgreSQL draws ids
 * in any order of commits, and a reader that goes by ids would never learn of a lower one that came later. Several are
 * taken in this order.
 */
export const STREAM_LOCKS = { logs: 707_001, messages: 707_002, events: 707_003 } as const;
