import { describe, expect, it } from 'vitest';
import { createWriteGate } from '../../src/db/sqlite/write-gate.js';

/** Who was let through, in order. */
function watch(gate = createWriteGate()) {
  const passed: string[] = [];
  return {
    gate,
    passed,
    write: async (name: string) => {
      await gate.pass();
      passed.push(name);
    },
    begin: async (name: string) => {
      await gate.enter();
      passed.push(name);
    },
    settle: () => new Promise(setImmediate),
  };
}

describe('write gate', () => {
  it('lets single writes straight through while no transaction is open', () => {
    const { gate } = watch();
    expect(gate.pass()).toBeUndefined();
    expect(gate.pass()).toBeUndefined();
  });

  it('gives a transaction the connection, and lets in what came meanwhile, in the order it came', async () => {
    const { gate, passed, write, begin, settle } = watch();
    await begin('first');
    void write('a');
    void write('b');
    void begin('second');
    void write('c');
    void begin('third');
    await settle();
    expect(passed).toEqual(['first']);
    gate.release();
    await settle();
    expect(passed).toEqual(['first', 'a', 'b', 'second']);
    gate.release();
    await settle();
    expect(passed).toEqual(['first', 'a', 'b', 'second', 'c', 'third']);
    gate.release();
    expect(gate.pass()).toBeUndefined();
  });

  it('fails what waits too long, and forgets it', async () => {
    const { gate, passed, write, begin, settle } = watch(createWriteGate(20));
    await begin('first');
    const results = await Promise.allSettled([write('a'), begin('second')]);
    expect(results).toMatchObject([
      { reason: { message: expect.stringContaining('waited 20 ms for an open transaction') } },
      { reason: { message: expect.stringContaining('is the outer handle used inside it?') } },
    ]);
    gate.release();
    await write('b');
    await settle();
    expect(passed).toEqual(['first', 'b']);
  });
});
