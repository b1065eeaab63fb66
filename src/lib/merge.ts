/**
 * The values of all sources as they come, until one of them ends or fails. Of each the next value is asked for when the
 * last has been taken. The sources are told of the end, and end when they next have something to say.
 */
export async function* merge<T>(...sources: AsyncGenerator<T>[]): AsyncGenerator<T> {
  const nextOf = async (source: AsyncGenerator<T>) => ({ source, result: await source.next() });
  const pending = new Map(sources.map((source) => [source, nextOf(source)]));
  try {
    for (;;) {
      const { source, result } = await Promise.race(pending.values());
      if (result.done) return;
      yield result.value;
      pending.set(source, nextOf(source));
    }
  } finally {
    for (const [source, next] of pending) {
      // What it still has to say, or how it fails, interests nobody.
      next.catch(() => {});
      source.return(undefined).catch(() => {});
    }
  }
}
