/**
 * SQLite's own `lower` knows the letters of ASCII alone, so its connections get this function. In a file of its own, so
 * that their threads do not load the query builder.
 */
export const FOLD_CASE = 'fold_case';
