import { describe, expect, it } from 'vitest';
import { parseBenchArgs, SUITE_NAMES } from '../../bench/lib/args.js';

describe('parseBenchArgs', () => {
  it('runs every suite for five rounds of three seconds unless told otherwise', () => {
    expect(parseBenchArgs([])).toMatchObject({
      suites: [...SUITE_NAMES],
      quick: false,
      rounds: 5,
      roundMs: 3000,
    });
  });

  it('takes suites in their fixed order, and one short round when quick', () => {
    expect(parseBenchArgs(['batch', 'ingest', '--quick', '--json', 'out.json'])).toMatchObject({
      suites: ['ingest', 'batch'],
      rounds: 1,
      roundMs: 1000,
      jsonPath: 'out.json',
    });
    expect(parseBenchArgs(['--quick', '--rounds', '2']).rounds).toBe(2);
  });

  it('names what it does not know', () => {
    expect(() => parseBenchArgs(['ingst'])).toThrow('unknown suite "ingst"; there are: ingest');
    expect(() => parseBenchArgs(['--rounds', 'many'])).toThrow('not "many"');
    expect(() => parseBenchArgs(['--rounds', '0'])).toThrow('whole number from 1');
  });
});
