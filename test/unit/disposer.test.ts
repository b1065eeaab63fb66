import { describe, expect, it } from 'vitest';
import { createDisposer } from '../../src/lib/disposer.js';

function watch() {
  const events: string[] = [];
  const disposer = createDisposer((name, error) =>
    events.push(`${name} failed: ${(error as Error).message}`),
  );
  const add = (name: string, work = async () => {}) =>
    disposer.add(name, async () => {
      events.push(`${name} closes`);
      await work();
      events.push(`${name} closed`);
    });
  return { events, disposer, add };
}

describe('disposer', () => {
  it('closes one after the other, last opened first', async () => {
    const { events, disposer, add } = watch();
    for (const name of ['database', 'ingest', 'server']) add(name, () => new Promise(setImmediate));
    await disposer.close();
    expect(events).toEqual([
      ...['server closes', 'server closed', 'ingest closes', 'ingest closed'],
      ...['database closes', 'database closed'],
    ]);
  });

  it('tells a failure and goes on with the rest', async () => {
    const { events, disposer, add } = watch();
    add('database');
    add('ingest', () => Promise.reject(new Error('stuck')));
    disposer.add('server', () => {
      throw new Error('in use');
    });
    await disposer.close();
    expect(events).toEqual([
      ...['server failed: in use', 'ingest closes', 'ingest failed: stuck'],
      ...['database closes', 'database closed'],
    ]);
  });

  it('closes once however often it is asked, and everybody waits for the end', async () => {
    const { events, disposer, add } = watch();
    let finish = () => {};
    add('database', () => new Promise<void>((resolve) => (finish = resolve)));
    const ended: number[] = [];
    const closes = [1, 2].map((n) => disposer.close().then(() => ended.push(n)));
    await new Promise(setImmediate);
    expect(ended).toEqual([]);
    finish();
    await Promise.all(closes);
    await disposer.close();
    expect(events).toEqual(['database closes', 'database closed']);
  });
});
