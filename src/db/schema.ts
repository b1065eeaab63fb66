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
  active_map_id: string | null;
  /** Set while a stop latches: no command is accepted until a named user clears it. */
  stopped_at: number | null;
  stopped_by: string | null;
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

/** What robots say in a shape of the account's own (`message_schemas`). */
export interface RobotMessagesTable {
  id: Generated<number>;
  robot_id: string;
  account_id: string;
  schema_id: string;
  /** The message as the robot sent it. */
  payload: string;
  timestamp: number;
  received_at: number;
  event_id: string | null;
}

export interface MessageSchemasTable {
  account_id: string;
  id: string;
  title: string;
  /** JSON Schema. */
  schema: string;
  /** A valid message. */
  example: string;
  created_at: number;
  updated_at: number;
}

export interface AlertsTable {
  id: string;
  robot_id: string;
  account_id: string;
  alert_type: string;
  severity: string;
  message: string;
  metadata: string | null;
  status: Generated<string>;
  acknowledged_at: number | null;
  acknowledged_by: string | null;
  resolved_at: number | null;
  resolved_by: string | null;
  created_at: number;
  /** Repeats of an open alert with the same key raise its count; null is never a repeat. */
  dedup_key: string | null;
  count: Generated<number>;
  last_seen_at: number;
  /** The rule that raised it; null when a robot did. */
  rule_id: string | null;
}

export interface AlertRulesTable {
  id: string;
  account_id: string;
  /** Null applies the rule to every robot of the account. */
  robot_id: string | null;
  name: string;
  condition: string;
  /** What ends the alert again; null is the opposite of `condition`. */
  clear_condition: string | null;
  severity: string;
  /** How long the condition must hold, by the robot's own time. */
  for_ms: number;
  cooldown_minutes: number;
  enabled: 0 | 1;
  created_at: number;
  updated_at: number;
}

export interface NotificationChannelsTable {
  id: string;
  account_id: string;
  name: string;
  kind: string;
  /** An address for mail, a URL for a webhook. */
  target: string;
  /** What a webhook's body is signed with. */
  secret: string | null;
  min_severity: string;
  enabled: 0 | 1;
  created_at: number;
  updated_at: number;
}

export interface NotificationDeliveriesTable {
  /** Sorts in the order in which they were made. */
  id: string;
  account_id: string;
  channel_id: string;
  /** Empty for a test. */
  alert_id: string;
  /** What happened to the alert: opened, acknowledged, resolved; or test. */
  change: string;
  /** The JSON that is sent. */
  payload: string;
  /** pending, sending, delivered, or dead after the last try. */
  state: string;
  /** Counted when they begin. */
  attempts: number;
  /** While sending: when whoever sends it has lost its claim. */
  next_attempt_at: number;
  last_error: string | null;
  created_at: number;
  finished_at: number | null;
}

export interface ActionsTable {
  id: string;
  account_id: string;
  name: string;
  description: string | null;
  /** JSON array of strings; null is every type. */
  robot_types: string | null;
  /** JSON Schema; null takes any object. */
  parameters_schema: string | null;
  created_at: number;
  updated_at: number;
}

export interface CommandsTable {
  /** Their order per robot. */
  seq: Generated<number>;
  id: string;
  robot_id: string;
  account_id: string;
  action: string;
  parameters: string;
  state: string;
  issued_by: string;
  idempotency_key: string | null;
  /** SHA-256 of what was asked, to tell a repeat from another wish under the same key. */
  request_hash: string | null;
  /** What the robot said last. */
  message: string | null;
  result: string | null;
  deliveries: Generated<number>;
  created_at: number;
  expires_at: number;
  delivered_at: number | null;
  received_at: number | null;
  started_at: number | null;
  finished_at: number | null;
}

/** What happened to alerts and commands, in the order of its commits: what their streams are replayed from. */
export interface StreamEventsTable {
  id: Generated<number>;
  stream: string;
  account_id: string;
  robot_id: string;
  payload: string;
  created_at: number;
}

/** How far retention has deleted: whoever resumes a stream from before this has missed something. */
export interface StreamHorizonsTable {
  stream: string;
  account_id: string;
  robot_id: string;
  cursor: number;
}

/** Who did what, through which door, from where. */
export interface AuditEntriesTable {
  id: Generated<number>;
  account_id: string;
  created_at: number;
  /** As `Principal.kind`, or `anonymous` for who failed to log in. */
  actor_kind: string;
  /** The id of the account or of the API key; null for `anonymous`. */
  actor_id: string | null;
  /** Such as `command.send`. */
  action: string;
  robot_id: string | null;
  /** The id of what it was done to. */
  subject_id: string | null;
  door: string;
  ip: string | null;
  /** `ok`, or the code of the refusal. */
  outcome: string;
  details: string | null;
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
  negate: 0 | 1 | null;
  occupied_thresh: number | null;
  free_thresh: number | null;
  mode: 'trinary' | 'scale' | 'raw' | null;
  width: number | null;
  height: number | null;
  max_value: number | null;
  /** SHA-256 of the image in hex. */
  pgm_sha256: string;
  /** Bytes of the image. */
  size_bytes: number;
  pgm_data: Uint8Array;
  yaml_raw: string;
  created_at: number;
}

/** Video rooms, until they expire. Who knows the id of one may enter it, where callers of their kind may at all. */
export interface RoomsTable {
  id: string;
  /** Null for a room that was made without a credential. */
  account_id: string | null;
  /** SHA-256 in hex of what lets those in who have no other credential; null when nothing does. */
  pass_hash: string | null;
  created_at: number;
  expires_at: number;
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
  robot_messages: RobotMessagesTable;
  message_schemas: MessageSchemasTable;
  alerts: AlertsTable;
  alert_rules: AlertRulesTable;
  notification_channels: NotificationChannelsTable;
  notification_deliveries: NotificationDeliveriesTable;
  actions: ActionsTable;
  commands: CommandsTable;
  stream_events: StreamEventsTable;
  stream_horizons: StreamHorizonsTable;
  audit_entries: AuditEntriesTable;
  maps: MapsTable;
  rooms: RoomsTable;
  email_verification_codes: EmailVerificationCodesTable;
}
