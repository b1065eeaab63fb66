import type { Db } from '../dialect.js';
import { migrate } from '../migrate.js';
import { type Adoption, type AdoptOptions, adopt } from './adopt.js';

/**
 * Makes a database ready for use, whatever it is: new, of an earlier Fleetwire, or of the KairoIO server.
 * Several instances may do it at once.
 * @throws when it cannot be; then nothing has changed.
 */
export async function prepareDatabase(
  db: Db,
  options: AdoptOptions,
): Promise<{ adoption: Adoption | undefined; migrations: string[] }> {
  const adoption = await adopt(db, options);
  return { adoption, migrations: await migrate(db) };
}
