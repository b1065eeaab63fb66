import type { BatchVerdict, PushedBatch, Warning } from '../contract/status.js';
import type { IngestVerdict } from '../db/ingest.js';
import { DomainError } from '../lib/errors.js';

/** @throws DomainError when the row was not stored. */
export function assertStored(
  verdict: IngestVerdict | undefined,
): asserts verdict is Extract<IngestVerdict, { outcome: 'stored' | 'duplicate' }> {
  if (verdict?.outcome === 'stored' || verdict?.outcome === 'duplicate') return;
  if (verdict?.outcome === 'gone') throw new DomainError('not_found', 'Robot not found');
  throw new DomainError('invalid_input', 'The database refuses a value in this request');
}

/** What became of one item of a batch that was sent to the database. */
export function batchVerdict(
  index: number,
  verdict: IngestVerdict | undefined,
  warnings: Warning[] = [],
): BatchVerdict {
  switch (verdict?.outcome) {
    case 'stored':
      return warnings.length > 0
        ? { index, result: 'stored', warnings }
        : { index, result: 'stored' };
    case 'duplicate':
      return { index, result: 'duplicate' };
    case 'gone':
      return { index, result: 'rejected', reason: 'Robot not found' };
    default:
      return { index, result: 'rejected', reason: 'the database refuses a value in it' };
  }
}

/** The answer to a whole batch. */
export function pushedBatch(robotId: string, results: BatchVerdict[]): PushedBatch {
  const count = (result: BatchVerdict['result']) =>
    results.filter((verdict) => verdict.result === result).length;
  return {
    robot_id: robotId,
    stored: count('stored'),
    duplicate: count('duplicate'),
    rejected: count('rejected'),
    results,
  };
}
