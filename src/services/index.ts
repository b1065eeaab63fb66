import type { Accounts } from './accounts.js';
import type { Alerts } from './alerts.js';
import type { ApiKeys } from './api-keys.js';
import type { Logs } from './logs.js';
import type { Presences } from './presence.js';
import type { Principals } from './principals.js';
import type { Registration } from './registration.js';
import type { Robots } from './robots.js';
import type { Statuses } from './status.js';
import type { StatusHistory } from './status-history.js';
import type { System } from './system.js';

/** Everything the procedures may call. Each service owns what one noun does. */
export interface Services {
  accounts: Accounts;
  alerts: Alerts;
  apiKeys: ApiKeys;
  history: StatusHistory;
  logs: Logs;
  presences: Presences;
  principals: Principals;
  registration: Registration;
  robots: Robots;
  statuses: Statuses;
  system: System;
}
