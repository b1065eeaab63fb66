import type { Generated } from 'kysely';

/**
 * The row of every table, true for both databases: text ids, integer milliseconds since the epoch, 0/1, JSON as text.
 * Tables and columns of the KairoIO server keep their names (seed 000, section 3).
 */
export interface AccountsTable {
  id: string;
  email: string;
  /** argon2id in PHC form; empty for the built-in admin, whose password is in the configuration. */
  password_hash: string;
  certification_key: string;
  /** SHA-256 of the key in hex: what credentials are looked up by. */
  certification_key_hash: string;
  email_verified: 0 | 1;
  created_at: number;
  updated_at: number;
}

export interface ApiKeysTable {
  id: string;
  account_id: string;
  /** Set for a robot's own key, which acts for that robot alone. */
  robot_id: string | null;
  name: string;
  /** SHA-256 of the secret in hex; the secret itself is shown once and never kept. */
  secret_hash: string;
  /** The first characters of the secret, to recognise it in a list. */
  hint: string;
  /** Set for an old secret in its overlap after a rotation: the id of the key whose secret it was. */
  superseded_by: string | null;
  /** JSON array of scopes. */
  scopes: string;
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
  revoked_at: number | null;
}

export interface RobotsTable {
  id: string;
  account_id: string;
  robot_type: string;
  robot_name: string | null;
  /** Silence after which the robot is stale; null means the configured default. */
  presence_timeout_ms: number | null;
  /** Set while its data is being deleted in slices; the robot no longer exists for any caller. */
  deleted_at: number | null;
  created_at: number;
  updated_at: number;
}

export interface RobotStatusesTable {
  id: Generated<number>;
  robot_id: string;
  account_id: string;
  /** The status object as the robot sent it. */
  status_json: string;
  /** When the robot recorded it. */
  timestamp: number;
  received_at: number;
  /** What makes a repeat recognisable; null when the sample carried neither an id nor a time of its own. */
  event_id: string | null;
  x: number | null;
  y: number | null;
  lat: number | null;
  lng: number | null;
  battery_level: number | null;
}

export interface RobotLogsTable {
  id: Generated<number>;
  robot_id: string;
  account_id: string;
  topic: string;
  message: string;
  level: string | null;
  timestamp: number;
  received_at: number;
  event_id: string | null;
}

export interface AlertsTable {
  id: string;
  robot_id: string;
  account_id: string;
  alert_type: string;
  severity: string;
  message: string;
  metadata: string | null;
  status: string;
  acknowledged_at: number | null;
  acknowledged_by: string | null;
  resolved_at: number | null;
  created_at: number;
}

export interface MapsTable {
  id: string;
  account_id: string;
  robot_id: string | null;
  name: string | null;
  resolution: number | null;
  origin_x: number | null;
  origin_y: number | null;
  origin_yaw: number | null;
  pgm_data: Uint8Array;
  yaml_raw: string;
  created_at: number;
}

export interface EmailVerificationCodesTable {
  email: string;
  /** SHA-256 of address and code in hex. */
  code: string;
  /** Wrong codes tried so far. */
  attempts: number;
  created_at: number;
  expires_at: number;
  verified: 0 | 1;
}

export interface Database {
  accounts: AccountsTable;
  api_keys: ApiKeysTable;
  robots: RobotsTable;
  robot_statuses: RobotStatusesTable;
  robot_logs: RobotLogsTable;
  alerts: AlertsTable;
  maps: MapsTable;
  email_verification_codes: EmailVerificationCodesTable;
}
