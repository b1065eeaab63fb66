import type { Logger } from '../../lib/logger.js';
import type { Adoption, AdoptionStep } from './adopt.js';

/** Tells the log how far an adoption is: once a table. */
export function adoptionLog(log: Logger): (step: AdoptionStep) => void {
  let isTold = false;
  return ({ step, table, done, of }) => {
    if (step === 'backup' && !isTold) {
      isTold = true;
      log.info('this is a database of the KairoIO server; adopting it, after a backup');
    }
    if (step === 'rows' && done === 0) log.info({ table, rows: of }, 'adopting');
  };
}

export function logAdoption(log: Logger, { backup, findings, rejected_table }: Adoption): void {
  log.info({ backup }, 'adopted');
  for (const { kind, table, what, rows, examples } of findings) {
    const facts = { kind, table, rows, examples, ...(kind === 'rejected' && { rejected_table }) };
    log[kind === 'problem' || kind === 'rejected' ? 'warn' : 'info'](facts, what);
  }
}
