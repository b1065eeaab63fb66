/**
 * Numbers the stretches of a table's ids that came from here without a gap: a new number says that rows which nobody
 * here was told of may have come in between, from another server on the same database. Ask for each id in turn.
 */
export function createStretches(): (id: number) => number {
  let last: number | undefined;
  let stretch = 0;
  return (id) => {
    if (last === undefined || id !== last + 1) stretch += 1;
    last = id;
    return stretch;
  };
}
