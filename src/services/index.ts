import type { Accounts } from './accounts.js';
import type { Actions } from './actions.js';
import type { AlertRules } from './alert-rules.js';
import type { Alerts } from './alerts.js';
import type { ApiKeys } from './api-keys.js';
import type { Audit } from './audit.js';
import type { Commands } from './commands.js';
import type { Logs } from './logs.js';
import type { Maps } from './maps.js';
import type { MessageSchemas } from './message-schemas.js';
import type { Messages } from './messages.js';
import type { Notifications } from './notifications.js';
import type { Presences } from './presence.js';
import type { Principals } from './principals.js';
import type { Registration } from './registration.js';
import type { Robots } from './robots.js';
import type { Schemas } from './schemas.js';
import type { Statuses } from './status.js';
import type { StatusHistory } from './status-history.js';
import type { StreamingTokens } from './streaming-token.js';
import type { System } from './system.js';
import type { Tickets } from './tickets.js';

/** Everything the procedures may call. Each service owns what one noun does. */
export interface Services {
  accounts: Accounts;
  actions: Actions;
  alertRules: AlertRules;
  alerts: Alerts;
  apiKeys: ApiKeys;
  audit: Audit;
  commands: Commands;
  history: StatusHistory;
  logs: Logs;
  maps: Maps;
  messages: Messages;
  messageSchemas: MessageSchemas;
  notifications: Notifications;
  presences: Presences;
  principals: Principals;
  registration: Registration;
  robots: Robots;
  schemas: Schemas;
  statuses: Statuses;
  streamingTokens: StreamingTokens;
  system: System;
  tickets: Tickets;
}
