import { EventEmitter, once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { IngestRow, IngestVerdict } from '../../src/db/ingest.js';
import { createLogger } from '../../src/lib/logger.js';
import { createIngest } from '../../src/services/ingest.js';
import { logRow } from '../support/fleet-database.js';

const rows = (...messages: string[]): IngestRow[] => messages.map((message) => logRow({ message }));
const textOf = ({ row }: IngestRow) => ('message' in row ? row.message : '');

/** A queue over a writer that commits when it is told to. */
function start(limitRows = 100, groupsAtOnce = 1) {
  const groups: string[][] = [];
  const commits: number[] = [];
  const lines: string[] = [];
  const arrivals = new EventEmitter();
  let current: { finish: () => void; fail: (error: Error) => void } | undefined;
  let nextId = 1;
  const ingest = createIngest({
    limitRows,
    log: createLogger('info', { write: (line) => void lines.push(line) }),
    onCommit: (count) => commits.push(count),
    writer: {
      groupsAtOnce,
      write(group) {
        groups.push(group.map(textOf));
        return new Promise<IngestVerdict[]>((resolve, reject) => {
          current = {
            finish: () => resolve(group.map(() => ({ outcome: 'stored', id: nextId++ }))),
            fail: reject,
          };
          arrivals.emit('write');
        });
      },
    },
  });
  /** Resolves when a group has reached the writer. */
  async function writing() {
    if (!current) await once(arrivals, 'write');
    return current!;
  }
  async function end(how: (write: NonNullable<typeof current>) => void) {
    how(await writing());
    current = undefined;
    await new Promise(setImmediate);
  }
  return {
    ...{ ingest, groups, commits, lines, writing },
    commit: () => end((write) => write.finish()),
    fail: (message: string) => end((write) => write.fail(new Error(message))),
  };
}

describe('ingest queue', () => {
  it('makes one commit of all that waits while the writer is busy', async () => {
    const { ingest, groups, commits, writing, commit } = start();
    const answered: string[] = [];
    const push = (...messages: string[]) =>
      ingest.push(rows(...messages)).then((verdicts) => {
        answered.push(...messages);
        return verdicts;
      });
    const first = push('a');
    await writing();
    const rest = [push('b', 'c'), push('d'), push('e')];
    expect(ingest.depth()).toBe(5);
    expect(groups).toEqual([['a']]);
    await commit();
    expect(answered).toEqual(['a']);
    await writing();
    expect(groups).toEqual([['a'], ['b', 'c', 'd', 'e']]);
    expect(await first).toEqual([{ outcome: 'stored', id: 1 }]);
    await commit();
    expect(answered).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await Promise.all(rest)).toEqual([
      [
        { outcome: 'stored', id: 2 },
        { outcome: 'stored', id: 3 },
      ],
      [{ outcome: 'stored', id: 4 }],
      [{ outcome: 'stored', id: 5 }],
    ]);
    expect(commits).toEqual([1, 4]);
    expect(ingest.depth()).toBe(0);
  });

  it('takes what comes in one tick together', async () => {
    const { ingest, groups, commit } = start();
    const pushes = Promise.all([ingest.push(rows('a')), ingest.push(rows('b'))]);
    await commit();
    await pushes;
    expect(groups).toEqual([['a', 'b']]);
  });

  it('keeps a call whole, and groups below 1,000 rows', async () => {
    const { ingest, groups, commit } = start(10_000);
    const big = rows(...Array.from({ length: 600 }, (_, n) => String(n)));
    const huge = rows(...Array.from({ length: 1_500 }, (_, n) => String(n)));
    const pushes = Promise.all([big, big, huge, big].map((group) => ingest.push(group)));
    for (let n = 0; n < 4; n += 1) await commit();
    expect((await pushes).map((verdicts) => verdicts.length)).toEqual([600, 600, 1_500, 600]);
    expect(groups.map(({ length }) => length)).toEqual([600, 600, 1_500, 600]);
  });

  it('refuses at once what does not fit, and takes more when there is room', async () => {
    const { ingest, groups, commit } = start(3);
    const pushes = [ingest.push(rows('a')), ingest.push(rows('b'))];
    await expect(ingest.push(rows('c', 'd'))).rejects.toMatchObject({
      code: 'overloaded',
      details: { limit: 'ingest_queue', retryAfterMs: 1_000 },
    });
    pushes.push(ingest.push(rows('e')));
    expect(ingest.depth()).toBe(3);
    while (ingest.depth() > 0) await commit();
    await Promise.all(pushes);
    const after = ingest.push(rows('c', 'd'));
    await commit();
    await after;
    expect(groups.flat()).toEqual(['a', 'b', 'e', 'c', 'd']);
  });

  it('tells everybody of the group that the database failed, and goes on with the next', async () => {
    const { ingest, lines, commits, commit, fail } = start();
    const failed = Promise.allSettled([ingest.push(rows('a')), ingest.push(rows('b'))]);
    await fail('disk full: /var/lib');
    const unavailable = {
      status: 'rejected',
      reason: { code: 'unavailable', details: { retryAfterMs: 5_000 } },
    };
    const results = await failed;
    expect(results).toMatchObject([unavailable, unavailable]);
    expect(JSON.stringify(results)).not.toContain('disk full');
    expect(lines.join()).toContain('disk full');
    expect(ingest.depth()).toBe(0);
    expect(commits).toEqual([]);
    const next = ingest.push(rows('c'));
    await commit();
    expect(await next).toHaveLength(1);
  });

  it('lines full groups up behind a busy writer that takes several, and small ones not', async () => {
    const many = Array.from({ length: 32 }, (_, at) => `m${at}`);
    const { ingest, groups, writing } = start(1_000, 2);
    const pushes = [ingest.push(rows('a'))];
    await writing();
    pushes.push(ingest.push(rows('b')));
    await new Promise(setImmediate);
    expect(groups).toEqual([['a']]);
    pushes.push(ingest.push(rows(...many)));
    expect(groups).toEqual([['a'], ['b', ...many]]);
    pushes.push(ingest.push(rows(...many)));
    await new Promise(setImmediate);
    expect(groups).toHaveLength(2);
    expect(pushes).toHaveLength(4);
  });

  it('sends nothing past a writer that takes one group at a time', async () => {
    const many = Array.from({ length: 40 }, (_, at) => `m${at}`);
    const { ingest, groups, writing, commit } = start(1_000, 1);
    const pushes = [ingest.push(rows('a'))];
    await writing();
    pushes.push(ingest.push(rows(...many)));
    await new Promise(setImmediate);
    expect(groups).toEqual([['a']]);
    await commit();
    await commit();
    expect((await Promise.all(pushes)).flat()).toHaveLength(41);
  });

  it('survives a writer that throws instead of rejecting', async () => {
    const ingest = createIngest({
      limitRows: 10,
      log: createLogger('silent', { write: () => {} }),
      writer: {
        groupsAtOnce: 1,
        write() {
          throw new Error('closed');
        },
      },
    });
    await expect(ingest.push(rows('a'))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(ingest.push(rows('b'))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('stops: refuses what is new, stores what was accepted', async () => {
    const { ingest, groups, writing, commit } = start();
    const accepted = [ingest.push(rows('a'))];
    await writing();
    accepted.push(ingest.push(rows('b')));
    let drained = false;
    const drain = ingest.drain().then(() => {
      drained = true;
    });
    await expect(ingest.push(rows('c'))).rejects.toMatchObject({ code: 'unavailable' });
    await commit();
    expect(drained).toBe(false);
    await commit();
    await drain;
    expect((await Promise.all(accepted)).flat()).toHaveLength(2);
    expect(groups).toEqual([['a'], ['b']]);
  });

  it('has nothing to wait for when it stops idle', async () => {
    const { ingest, commit } = start();
    const push = ingest.push(rows('a'));
    await commit();
    await push;
    await ingest.drain();
    await start().ingest.drain();
  });
});
