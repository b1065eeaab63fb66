import type { Insertable } from 'kysely';
import { isShallow, TOO_DEEP } from '../../contract/common.js';
import { readKnown } from '../../contract/known-status.js';
import { isJsonObject } from '../../lib/json-object.js';
import type { RobotLogsTable, RobotStatusesTable, RobotsTable } from '../schema.js';
import { type Cells, Rejection } from './cells.js';
import type { FindingKind } from './findings.js';
import type { Known } from './known.js';

type Note = (kind: FindingKind, what: string) => void;

/** @throws Rejection */
export function convertRobot(
  cells: Cells,
  known: Known,
  note: Note,
): Insertable<RobotsTable> | 'deleted' {
  const id = cells.text('id');
  const account_id = cells.text('account_id');
  if (cells.isSet('deleted_at') || known.deletedAccounts.has(account_id)) {
    if (!known.robots.has(id)) known.deletedRobots.add(id);
    return 'deleted';
  }
  if (known.robots.has(id)) throw new Rejection('another robot has the same id');
  known.robots.set(id, account_id);
  known.deletedRobots.delete(id);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
  if (id === '' || id.length > 128 || /[\u0000-\u001f\u007f/]/.test(id)) {
    note(
      'problem',
      'no call can name it, its id being empty, too long, or with a slash or control character in it',
    );
  }
  const created_at = cells.instantOr('created_at', null) ?? known.nowMs;
  return {
    id,
    account_id,
    robot_type: cells.textOrNull('robot_type') ?? '',
    robot_name: cells.textOrNull('robot_name'),
    presence_timeout_ms: null,
    active_map_id: cells.textOrNull('active_map_id'),
    stopped_at: null,
    stopped_by: null,
    deleted_at: null,
    created_at,
    updated_at: cells.instantOr('updated_at', null) ?? created_at,
  };
}

/** @throws Rejection */
export function convertStatus(
  cells: Cells,
  known: Known,
): Insertable<RobotStatusesTable> | 'deleted' {
  const base = telemetry(cells, known);
  if (base === 'deleted') return base;
  const status_json = cells.text('status_json');
  assertObject(status_json);
  const { columns } = readKnown(status_json);
  return { ...base, status_json, ...columns };
}

/** @throws Rejection */
export function convertLog(cells: Cells, known: Known): Insertable<RobotLogsTable> | 'deleted' {
  const base = telemetry(cells, known);
  if (base === 'deleted') return base;
  return {
    ...base,
    topic: cells.text('topic'),
    message: cells.text('message'),
    level: cells.textOrNull('level'),
  };
}

/** The account of the robot that a row belongs to. @throws Rejection when there is none. */
export function ownerOf(robotId: string, known: Known): string | 'deleted' {
  const owner = known.robots.get(robotId);
  if (owner !== undefined) return owner;
  if (known.deletedRobots.has(robotId)) return 'deleted';
  throw new Rejection('its robot is not there');
}

function telemetry(cells: Cells, known: Known) {
  if (cells.isSet('deleted_at')) return 'deleted';
  const robot_id = cells.text('robot_id');
  const owner = ownerOf(robot_id, known);
  if (owner === 'deleted') return owner;
  const timestamp = cells.instant('timestamp');
  return {
    id: cells.id('id'),
    robot_id,
    account_id: cells.textOrNull('account_id') ?? owner,
    timestamp,
    // The original did not keep apart when a robot said something and when it arrived.
    received_at: timestamp,
    event_id: null,
  };
}

function assertObject(json: string): void {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  if (!isJsonObject(value)) throw new Rejection('status_json is not a JSON object');
  if (!isShallow(value)) throw new Rejection(`status_json ${TOO_DEEP}`);
}
