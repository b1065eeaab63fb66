import { afterAll, beforeAll } from 'vitest';
import { type DatabaseHandle, openDatabase } from '../../src/db/client.js';
import type { IngestRow, IngestVerdict } from '../../src/db/ingest.js';
import { migrate } from '../../src/db/migrate.js';
import type { TestDatabase, TestDatabaseKind } from './databases.js';

export type StatusRowInput = Extract<IngestRow, { kind: 'status' }>['row'];
export type LogRowInput = Extract<IngestRow, { kind: 'log' }>['row'];

/** 2026-01-25T12:00:00Z */
export const NOON_MS = 1_769_342_400_000;

export interface FleetDatabase {
  handle: DatabaseHandle;
  /** What `handle` is open on, to open it again. */
  database: TestDatabase;
  addAccount(id: string): Promise<string>;
  addRobot(accountId: string, robotId: string): Promise<string>;
  /** Through the ingest writer, as the server does it, 1,000 rows at a time. */
  addStatuses(rows: readonly Partial<StatusRowInput>[]): Promise<IngestVerdict[]>;
}

/** An open, migrated database for one `describe`. */
export function useFleetDatabase(kind: TestDatabaseKind): () => FleetDatabase {
  let database: TestDatabase;
  let handle: DatabaseHandle;
  beforeAll(async () => {
    database = await kind.create();
    handle = await openDatabase(database.config);
    await migrate(handle.db);
  });
  afterAll(async () => {
    await handle?.close();
    await database?.dispose();
  });
  return () => ({
    handle,
    database,
    async addAccount(id) {
      await handle.db.insertInto('accounts').values(accountRow(id)).execute();
      return id;
    },
    async addRobot(accountId, robotId) {
      await handle.db.insertInto('robots').values(robotRow(accountId, robotId)).execute();
      return robotId;
    },
    async addStatuses(rows) {
      const verdicts: IngestVerdict[] = [];
      for (let from = 0; from < rows.length; from += 1_000) {
        const group = rows.slice(from, from + 1_000);
        verdicts.push(...(await handle.ingest.write(group.map(statusRow))));
      }
      return verdicts;
    },
  });
}

export function accountRow(id: string) {
  return {
    id,
    email: `${id}@example.com`,
    password_hash: '',
    certification_key: `key of ${id}`,
    certification_key_hash: `hash of ${id}`,
    email_verified: 1 as const,
    created_at: NOON_MS,
    updated_at: NOON_MS,
  };
}

export function robotRow(account_id: string, id: string) {
  return {
    id,
    account_id,
    robot_type: 'mobile_robot',
    robot_name: null,
    presence_timeout_ms: null,
    active_map_id: null,
    stopped_at: null,
    stopped_by: null,
    deleted_at: null,
    created_at: NOON_MS,
    updated_at: NOON_MS,
  };
}

/** A status that says nothing but what is given. */
export function statusRow(row: Partial<StatusRowInput>): IngestRow {
  return {
    kind: 'status',
    row: {
      robot_id: 'robot',
      account_id: 'owner',
      status_json: '{}',
      timestamp: NOON_MS,
      received_at: NOON_MS,
      event_id: null,
      x: null,
      y: null,
      lat: null,
      lng: null,
      battery_level: null,
      ...row,
    },
  };
}

export function logRow(row: Partial<LogRowInput>): IngestRow {
  return {
    kind: 'log',
    row: {
      robot_id: 'robot',
      account_id: 'owner',
      topic: 'test',
      message: 'a line',
      level: null,
      timestamp: NOON_MS,
      received_at: NOON_MS,
      event_id: null,
      ...row,
    },
  };
}
