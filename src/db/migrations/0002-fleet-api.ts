import { type CreateTableBuilder, sql } from 'kysely';
import type { MigrationTools } from '../dialect.js';

/** Logs, alerts, commands, maps, messages, audit: what the fleet API needs beside robots and their statuses. */
export async function createFleetApi({ schema, types }: MigrationTools): Promise<void> {
  await alterTable('robots', {
    active_map_id: 'text',
    stopped_at: types.ms,
    stopped_by: 'text',
  });
  await alterTable('maps', {
    negate: 'integer',
    occupied_thresh: types.real,
    free_thresh: types.real,
    mode: 'text',
    width: 'integer',
    height: 'integer',
    max_value: 'integer',
    pgm_sha256: 'text',
    size_bytes: 'integer',
  });
  // It has all but the image, because SQLite reads through the image to the columns behind it.
  await schema.dropIndex('maps_account').execute();
  await index('maps', 'account', [
    ...['account_id', 'created_at', 'id', 'robot_id', 'name', 'resolution', 'origin_x', 'origin_y'],
    ...['origin_yaw', 'negate', 'occupied_thresh', 'free_thresh', 'mode', 'width', 'height'],
    ...['max_value', 'pgm_sha256', 'size_bytes'],
  ]);
  await alterTable('alerts', { dedup_key: 'text', rule_id: 'text', resolved_by: 'text' });
  await schema
    .alterTable('alerts')
    .addColumn('count', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
  await schema
    .alterTable('alerts')
    .addColumn('last_seen_at', types.ms, (c) => c.notNull().defaultTo(0))
    .execute();
  await schema
    .createIndex('alerts_open')
    .on('alerts')
    .columns(['robot_id', 'dedup_key'])
    .unique()
    .where(sql.ref('status'), '<>', sql.lit('resolved'))
    .execute();
  await index('alerts', 'status', ['account_id', 'status', 'created_at', 'id']);
  await index('robot_logs', 'stream', ['robot_id', 'id']);

  await schema
    .createTable('robot_messages')
    .addColumn('id', types.serial)
    .addColumn('robot_id', 'text', (c) => c.notNull().references('robots.id').onDelete('cascade'))
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('schema_id', 'text', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('timestamp', types.ms, (c) => c.notNull())
    .addColumn('received_at', types.ms, (c) => c.notNull())
    .addColumn('event_id', 'text')
    .execute();
  await index('robot_messages', 'time', ['robot_id', 'schema_id', 'timestamp', 'id']);
  await index('robot_messages', 'age', ['robot_id', 'timestamp', 'id']);
  await index('robot_messages', 'stream', ['robot_id', 'id']);
  await schema
    .createIndex('robot_messages_event')
    .on('robot_messages')
    .columns(['robot_id', 'event_id'])
    .unique()
    .where(sql.ref('event_id'), 'is not', null)
    .execute();

  await dated(schema.createTable('message_schemas'))
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id'))
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('title', 'text', (c) => c.notNull())
    .addColumn('schema', 'text', (c) => c.notNull())
    .addColumn('example', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('message_schemas_key', ['account_id', 'id'])
    .execute();

  await dated(schema.createTable('alert_rules'))
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id'))
    .addColumn('robot_id', 'text', (c) => c.references('robots.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('condition', 'text', (c) => c.notNull())
    .addColumn('clear_condition', 'text')
    .addColumn('severity', 'text', (c) => c.notNull())
    .addColumn('for_ms', types.ms, (c) => c.notNull().defaultTo(0))
    .addColumn('cooldown_minutes', types.real, (c) => c.notNull().defaultTo(0))
    .addColumn('enabled', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
  await index('alert_rules', 'account', ['account_id', 'id']);

  await dated(schema.createTable('notification_channels'))
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('target', 'text', (c) => c.notNull())
    .addColumn('secret', 'text')
    .addColumn('min_severity', 'text', (c) => c.notNull())
    .addColumn('enabled', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
  await index('notification_channels', 'account', ['account_id', 'id']);

  await schema
    .createTable('notification_deliveries')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('channel_id', 'text', (c) =>
      c.notNull().references('notification_channels.id').onDelete('cascade'),
    )
    .addColumn('alert_id', 'text', (c) => c.notNull())
    .addColumn('change', 'text', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('next_attempt_at', types.ms, (c) => c.notNull())
    .addColumn('last_error', 'text')
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('finished_at', types.ms)
    .execute();
  await index('notification_deliveries', 'due', ['state', 'next_attempt_at', 'id']);
  await index('notification_deliveries', 'account', ['account_id', 'created_at', 'id']);
  await index('notification_deliveries', 'state', ['account_id', 'state', 'created_at', 'id']);
  await index('notification_deliveries', 'channel', ['channel_id', 'state', 'id']);

  await dated(schema.createTable('actions'))
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text')
    .addColumn('robot_types', 'text')
    .addColumn('parameters_schema', 'text')
    .addUniqueConstraint('actions_name', ['account_id', 'name'])
    .execute();

  await schema
    .createTable('commands')
    .addColumn('seq', types.serial)
    .addColumn('id', 'text', (c) => c.notNull().unique())
    .addColumn('robot_id', 'text', (c) => c.notNull().references('robots.id').onDelete('cascade'))
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('parameters', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('issued_by', 'text', (c) => c.notNull())
    .addColumn('idempotency_key', 'text')
    .addColumn('request_hash', 'text')
    .addColumn('message', 'text')
    .addColumn('result', 'text')
    .addColumn('deliveries', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('expires_at', types.ms, (c) => c.notNull())
    .addColumn('delivered_at', types.ms)
    .addColumn('received_at', types.ms)
    .addColumn('started_at', types.ms)
    .addColumn('finished_at', types.ms)
    .addUniqueConstraint('commands_idempotency', ['robot_id', 'idempotency_key'])
    .execute();
  await index('commands', 'robot', ['robot_id', 'seq']);
  await index('commands', 'account', ['account_id', 'seq']);
  // What is still to be done, which is little however many there have been.
  await schema
    .createIndex('commands_open')
    .on('commands')
    .columns(['robot_id', 'seq'])
    .where(sql.ref('finished_at'), 'is', null)
    .execute();
  await schema
    .createIndex('commands_expiry')
    .on('commands')
    .columns(['expires_at'])
    .where(sql.ref('finished_at'), 'is', null)
    .execute();

  await schema
    .createTable('stream_events')
    .addColumn('id', types.serial)
    .addColumn('stream', 'text', (c) => c.notNull())
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('robot_id', 'text', (c) => c.notNull().references('robots.id').onDelete('cascade'))
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .execute();
  await index('stream_events', 'replay', ['account_id', 'stream', 'id']);
  await index('stream_events', 'robot', ['robot_id']);
  await index('stream_events', 'age', ['created_at']);

  await schema
    .createTable('stream_horizons')
    .addColumn('stream', 'text', (c) => c.notNull())
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('robot_id', 'text', (c) => c.notNull().references('robots.id').onDelete('cascade'))
    .addColumn('cursor', types.ms, (c) => c.notNull())
    .addPrimaryKeyConstraint('stream_horizons_key', ['account_id', 'stream', 'robot_id'])
    .execute();
  await index('stream_horizons', 'robot', ['robot_id']);

  await schema
    .createTable('audit_entries')
    .addColumn('id', types.serial)
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('created_at', types.ms, (c) => c.notNull())
    .addColumn('actor_kind', 'text', (c) => c.notNull())
    .addColumn('actor_id', 'text')
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('robot_id', 'text')
    .addColumn('subject_id', 'text')
    .addColumn('door', 'text', (c) => c.notNull())
    .addColumn('ip', 'text')
    .addColumn('outcome', 'text', (c) => c.notNull())
    .addColumn('details', 'text')
    .execute();
  await index('audit_entries', 'account', ['account_id', 'id']);
  await index('audit_entries', 'age', ['created_at']);

  async function alterTable(
    table: string,
    columns: Record<string, 'text' | 'integer' | MigrationTools['types']['ms' | 'real']>,
  ): Promise<void> {
    for (const [name, type] of Object.entries(columns)) {
      await schema.alterTable(table).addColumn(name, type).execute();
    }
  }

  async function index(table: string, name: string, columns: string[]): Promise<void> {
    await schema.createIndex(`${table}_${name}`).on(table).columns(columns).execute();
  }

  function dated(table: CreateTableBuilder<string, never>) {
    return table
      .addColumn('created_at', types.ms, (c) => c.notNull())
      .addColumn('updated_at', types.ms, (c) => c.notNull());
  }
}
