import { CompiledQuery, type KyselyPlugin, type RootOperationNode } from 'kysely';
import { describe, expect, it } from 'vitest';
import type { Db } from '../../src/db/client.js';
import { countMaps, findMap, newestMaps } from '../../src/db/repositories/maps.js';
import { testDatabases } from '../support/databases.js';
import { useFleetDatabase } from '../support/fleet-database.js';

/** SQLite reads a row from its beginning, so a column behind an image costs the whole of the image. */
describe('what is asked of maps on SQLite', () => {
  const kind = testDatabases.find(({ dialect }) => dialect === 'sqlite');
  if (!kind) throw new Error('there is no SQLite');
  const database = useFleetDatabase(kind);

  /** How SQLite goes about the one query of `ask`. */
  async function planOf(ask: (db: Db) => Promise<unknown>): Promise<string> {
    const { db } = database().handle;
    const seen: { node: RootOperationNode; id: { readonly queryId: string } }[] = [];
    const plugin: KyselyPlugin = {
      transformQuery({ node, queryId }) {
        seen.push({ node, id: queryId });
        return node;
      },
      transformResult: async ({ result }) => result,
    };
    await ask(db.withPlugin(plugin));
    const [query, ...others] = seen;
    if (!query || others.length > 0) throw new Error(`${seen.length} queries instead of one`);
    const { sql, parameters } = db.getExecutor().compileQuery(query.node, query.id);
    const explained = CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]);
    const { rows } = await db.executeQuery<{ detail: string }>(explained);
    return rows.map(({ detail }) => detail).join('; ');
  }

  const cursor = { created_at: 1, id: 'a' };
  it.each([
    ['one map', (db: Db) => findMap(db, 'owner', 'map')],
    ['the newest', (db: Db) => newestMaps(db, 'owner', { limit: 1 })],
    ['a page', (db: Db) => newestMaps(db, 'owner', { limit: 9, robotId: 'r', cursor })],
    ['their number', (db: Db) => countMaps(db, 'owner')],
  ])('is answered without the image: %s', async (_name, ask) => {
    expect(await planOf(ask)).toMatch(
      /^SEARCH maps USING COVERING INDEX maps_account \(account_id/,
    );
  });
});
