import type { MigrationTools } from '../dialect.js';

/** Video rooms. */
export async function createRooms({ schema, types }: MigrationTools): Promise<void> {
  await schema
    .createTable('rooms')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.references('accounts.id'))
    .addColumn('pass_hash', 'text')
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('expires_at', types.ms, (c) => c.notNull())
    .execute();
  await schema
    .createIndex('rooms_account')
    .on('rooms')
    .columns(['account_id', 'expires_at'])
    .execute();
  await schema.createIndex('rooms_expiry').on('rooms').columns(['expires_at']).execute();
}
