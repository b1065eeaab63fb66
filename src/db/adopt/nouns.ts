import { hash } from 'node:crypto';
import type { Insertable } from 'kysely';
import { isShallow } from '../../contract/common.js';
import { parseMapYaml } from '../../lib/map-yaml.js';
import { PgmError, readPgmHeader } from '../../lib/pgm.js';
import type { AlertRulesTable, AlertsTable, MapsTable } from '../schema.js';
import { type Cells, Rejection } from './cells.js';
import type { FindingKind } from './findings.js';
import type { Known } from './known.js';
import { ownerOf } from './telemetry.js';

type Note = (kind: FindingKind, what: string) => void;

const ID_LIMIT_CHARACTERS = 128;

/** @throws Rejection */
export function convertAlert(
  cells: Cells,
  known: Known,
  note: Note,
): Insertable<AlertsTable> | 'deleted' {
  if (cells.isSet('deleted_at')) return 'deleted';
  const robot_id = cells.text('robot_id');
  const owner = ownerOf(robot_id, known);
  if (owner === 'deleted') return owner;
  const created_at = cells.instant('created_at');
  return {
    id: idOf(cells),
    robot_id,
    account_id: cells.textOrNull('account_id') ?? owner,
    alert_type: cells.text('alert_type'),
    severity: cells.text('severity'),
    message: cells.text('message'),
    metadata: asJson(cells.textOrNull('metadata'), note),
    status: cells.textOrNull('status') ?? 'active',
    acknowledged_at: cells.instantOr('acknowledged_at', null),
    acknowledged_by: cells.textOrNull('acknowledged_by'),
    resolved_at: cells.instantOr('resolved_at', null),
    resolved_by: null,
    created_at,
    dedup_key: null,
    count: 1,
    last_seen_at: created_at,
    rule_id: null,
  };
}

/** @throws Rejection */
export function convertRule(cells: Cells, known: Known): Insertable<AlertRulesTable> | 'deleted' {
  if (cells.isSet('deleted_at')) return 'deleted';
  const account_id = cells.text('account_id');
  if (known.deletedAccounts.has(account_id)) return 'deleted';
  if (!known.accounts.has(account_id)) throw new Rejection('its account is not there');
  const robot_id = cells.textOrNull('robot_id');
  if (robot_id !== null && ownerOf(robot_id, known) === 'deleted') return 'deleted';
  const condition = cells.text('condition');
  const created_at = cells.instantOr('created_at', null) ?? known.nowMs;
  return {
    id: idOf(cells),
    account_id,
    robot_id,
    name: cells.textOrNull('name') ?? condition,
    condition,
    clear_condition: null,
    severity: cells.textOrNull('severity') ?? 'warning',
    for_ms: 0,
    cooldown_minutes: cells.realOrNull('cooldown_minutes') ?? 0,
    enabled: cells.bitOrNull('enabled') ?? 1,
    created_at,
    updated_at: cells.instantOr('updated_at', null) ?? created_at,
  };
}

/** @throws Rejection */
export function convertMap(cells: Cells, note: Note): Insertable<MapsTable> | 'deleted' {
  if (cells.isSet('deleted_at')) return 'deleted';
  const pgm_data = cells.bytes('pgm_data');
  const yaml_raw = cells.text('yaml_raw');
  const yaml = parseMapYaml(yaml_raw);
  const said = 'value' in yaml ? yaml.value : undefined;
  return {
    id: idOf(cells),
    account_id: cells.text('account_id'),
    robot_id: cells.textOrNull('robot_id'),
    name: cells.textOrNull('name'),
    resolution: cells.realOrNull('resolution'),
    origin_x: cells.realOrNull('origin_x'),
    origin_y: cells.realOrNull('origin_y'),
    origin_yaw: cells.realOrNull('origin_yaw'),
    negate: cells.bitOrNull('negate') ?? (said && (said.negate ? 1 : 0)) ?? null,
    occupied_thresh: cells.realOrNull('occupied_thresh') ?? said?.occupied_thresh ?? null,
    free_thresh: cells.realOrNull('free_thresh') ?? said?.free_thresh ?? null,
    mode: said?.mode ?? null,
    ...sizeOf(pgm_data, note),
    pgm_sha256: hash('sha256', pgm_data, 'hex'),
    size_bytes: pgm_data.length,
    pgm_data,
    yaml_raw,
    created_at: cells.instant('created_at'),
  };
}

/** @throws Rejection for what no call can name. */
function idOf(cells: Cells): string {
  const id = cells.text('id');
  if (id !== '' && id.length <= ID_LIMIT_CHARACTERS) return id;
  throw new Rejection(`id is empty or longer than ${ID_LIMIT_CHARACTERS} characters`);
}

function sizeOf(pgm: Uint8Array, note: Note): Pick<MapsTable, 'width' | 'height' | 'max_value'> {
  try {
    const { width, height, max_value } = readPgmHeader(pgm, Number.MAX_SAFE_INTEGER);
    return { width, height, max_value };
  } catch (error) {
    if (!(error instanceof PgmError)) throw error;
    note('note', 'its image is no PGM that can be read; it is kept as it is');
    return { width: null, height: null, max_value: null };
  }
}

/** The original took any text; ours is read as JSON. */
function asJson(metadata: string | null, note: Note): string | null {
  if (metadata === null) return null;
  try {
    if (isShallow(JSON.parse(metadata))) return metadata;
  } catch {
    // As with what is nested too deep.
  }
  note('changed', 'its metadata is not JSON that can be written again, and was made a JSON text');
  return JSON.stringify(metadata);
}
