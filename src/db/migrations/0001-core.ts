import { type CreateTableBuilder, sql } from 'kysely';
import type { MigrationTools } from '../dialect.js';

/** The tables of the KairoIO server under their own names, and what Fleetwire adds to them. */
export async function createCore({ schema, types }: MigrationTools): Promise<void> {
  await schema
    .createTable('accounts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('email', 'text', (c) => c.notNull().unique())
    .addColumn('password_hash', 'text', (c) => c.notNull())
    .addColumn('certification_key', 'text', (c) => c.notNull().unique())
    .addColumn('certification_key_hash', 'text', (c) => c.notNull().unique())
    .addColumn('email_verified', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('updated_at', types.ms, (c) => c.notNull())
    .execute();

  await schema
    .createTable('robots')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id'))
    .addColumn('robot_type', 'text', (c) => c.notNull())
    .addColumn('robot_name', 'text')
    .addColumn('presence_timeout_ms', types.ms)
    .addColumn('deleted_at', types.ms)
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('updated_at', types.ms, (c) => c.notNull())
    .execute();
  await schema.createIndex('robots_account').on('robots').columns(['account_id', 'id']).execute();

  await schema
    .createTable('api_keys')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id'))
    .addColumn('robot_id', 'text', (c) => c.references('robots.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('secret_hash', 'text', (c) => c.notNull().unique())
    .addColumn('hint', 'text', (c) => c.notNull())
    .addColumn('superseded_by', 'text')
    .addColumn('scopes', 'text', (c) => c.notNull())
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('expires_at', types.ms)
    .addColumn('last_used_at', types.ms)
    .addColumn('revoked_at', types.ms)
    .execute();
  await schema
    .createIndex('api_keys_account')
    .on('api_keys')
    .columns(['account_id', 'id'])
    .execute();
  await schema.createIndex('api_keys_robot').on('api_keys').column('robot_id').execute();

  await telemetry(schema.createTable('robot_statuses'), types)
    .addColumn('status_json', 'text', (c) => c.notNull())
    .addColumn('x', types.real)
    .addColumn('y', types.real)
    .addColumn('lat', types.real)
    .addColumn('lng', types.real)
    .addColumn('battery_level', types.real)
    .execute();
  // Trajectories are answered from this index alone.
  await schema
    .createIndex('robot_statuses_track')
    .on('robot_statuses')
    .columns(['robot_id', 'timestamp', 'id', 'x', 'y', 'lat', 'lng'])
    .execute();

  await telemetry(schema.createTable('robot_logs'), types)
    .addColumn('topic', 'text', (c) => c.notNull())
    .addColumn('message', 'text', (c) => c.notNull())
    .addColumn('level', 'text')
    .execute();
  await schema
    .createIndex('robot_logs_time')
    .on('robot_logs')
    .columns(['robot_id', 'timestamp', 'id'])
    .execute();

  for (const table of ['robot_statuses', 'robot_logs']) {
    await schema
      .createIndex(`${table}_event`)
      .on(table)
      .columns(['robot_id', 'event_id'])
      .unique()
      .where(sql.ref('event_id'), 'is not', null)
      .execute();
  }

  await schema
    .createTable('alerts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('robot_id', 'text', (c) => c.notNull().references('robots.id').onDelete('cascade'))
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('alert_type', 'text', (c) => c.notNull())
    .addColumn('severity', 'text', (c) => c.notNull())
    .addColumn('message', 'text', (c) => c.notNull())
    .addColumn('metadata', 'text')
    .addColumn('status', 'text', (c) => c.notNull().defaultTo('active'))
    .addColumn('acknowledged_at', types.ms)
    .addColumn('acknowledged_by', 'text')
    .addColumn('resolved_at', types.ms)
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .execute();
  await schema
    .createIndex('alerts_account')
    .on('alerts')
    .columns(['account_id', 'created_at', 'id'])
    .execute();
  await schema
    .createIndex('alerts_robot')
    .on('alerts')
    .columns(['robot_id', 'created_at', 'id'])
    .execute();

  await schema
    .createTable('maps')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('robot_id', 'text')
    .addColumn('name', 'text')
    .addColumn('resolution', types.real)
    .addColumn('origin_x', types.real)
    .addColumn('origin_y', types.real)
    .addColumn('origin_yaw', types.real)
    .addColumn('pgm_data', sql.raw(types.blob), (c) => c.notNull())
    .addColumn('yaml_raw', 'text', (c) => c.notNull())
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .execute();
  await schema
    .createIndex('maps_account')
    .on('maps')
    .columns(['account_id', 'created_at', 'id'])
    .execute();

  await schema
    .createTable('email_verification_codes')
    .addColumn('email', 'text', (c) => c.primaryKey())
    .addColumn('code', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('expires_at', types.ms, (c) => c.notNull())
    .addColumn('verified', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
}

function telemetry(table: CreateTableBuilder<string, never>, types: MigrationTools['types']) {
  return table
    .addColumn('id', types.serial)
    .addColumn('robot_id', 'text', (c) => c.notNull().references('robots.id').onDelete('cascade'))
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('timestamp', types.ms, (c) => c.notNull())
    .addColumn('received_at', types.ms, (c) => c.notNull())
    .addColumn('event_id', 'text');
}
