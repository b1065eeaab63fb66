import type { Database } from './schema.js';

/** Every table, those that others refer to before them. A table that is missing here does not compile. */
const IN_ORDER: Record<keyof Database, true> = {
  accounts: true,
  robots: true,
  api_keys: true,
  robot_statuses: true,
  robot_logs: true,
  message_schemas: true,
  robot_messages: true,
  alert_rules: true,
  alerts: true,
  notification_channels: true,
  notification_deliveries: true,
  actions: true,
  commands: true,
  stream_events: true,
  stream_horizons: true,
  audit_entries: true,
  maps: true,
  rooms: true,
  email_verification_codes: true,
};

export const TABLES = Object.keys(IN_ORDER) as readonly (keyof Database)[];
