import type { Principal } from '../contract/access.js';
import type { PushLogInput } from '../contract/logs.js';
import type { Clock } from '../lib/clock.js';
import type { Fleet } from './fleet.js';
import type { Ingest } from './ingest.js';
import type { Presences } from './presence.js';
import { assertStored } from './status.js';

/** Log lines of robots. */
export interface Logs {
  /** Stores one line. Resolves after the commit; the same `event_id` again changes nothing. */
  push(principal: Principal, input: PushLogInput): Promise<void>;
}

export interface LogsDeps {
  fleet: Fleet;
  ingest: Ingest;
  presences: Presences;
  clock: Clock;
}

export function createLogs({ fleet, ingest, presences, clock }: LogsDeps): Logs {
  return {
    async push(principal, { robot_id, topic, message, level, timestamp, event_id }) {
      const robot = await fleet.owned(principal, robot_id);
      const now = clock.now();
      const row = {
        robot_id,
        account_id: principal.account_id,
        topic,
        message,
        level: level ?? null,
        timestamp: timestamp ?? now,
        received_at: now,
        event_id: event_id ?? null,
      };
      const [verdict] = await ingest.push([{ kind: 'log', row }]);
      assertStored(verdict);
      presences.seen(robot, now);
    },
  };
}
