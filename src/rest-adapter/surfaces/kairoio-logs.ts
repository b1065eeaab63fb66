import { z } from 'zod';
import { InstantQuery, RobotId } from '../../contract/common.js';
import { LiveLog, LogFilter, LogsInput, PushLogInput, PushLogsInput } from '../../contract/logs.js';
import { type Row, row } from '../define.js';
import { sseOf } from '../sse.js';

const LOGS_PATH = '/api/v1/robots/{robotId}/logs';
const params = z.object({ robotId: RobotId });
const tag = 'Logs';

export const LOGS: readonly Row[] = [
  row('POST', LOGS_PATH, 'logs.push', {
    summary: 'Store a log line',
    tag,
    params,
    body: PushLogInput.omit({ robot_id: true }),
    missing: 'topic and message are required',
  }),
  row('POST', `${LOGS_PATH}/batch`, 'logs.pushBatch', {
    summary: 'Store up to 1,000 log lines; one with an event_id may be sent again',
    tag,
    params,
    body: PushLogsInput.omit({ robot_id: true }),
    missing: 'logs are required',
  }),
  row('GET', LOGS_PATH, 'logs.list', {
    summary: 'List log lines, newest first',
    tag,
    params,
    query: LogFilter.extend({
      q: LogsInput.shape.q,
      start: InstantQuery,
      end: InstantQuery,
      limit: z.coerce.number().int().min(1).max(1_000).default(100),
      before: z.coerce.number().int().min(1).optional().meta({
        description: 'The id of a log; the ones that come after it in this list. Not with `cursor`',
      }),
      cursor: LogsInput.shape.cursor,
    }),
  }),
  row('GET', `${LOGS_PATH}/subscribe`, 'logs.live', {
    summary: 'Follow the log; `Last-Event-ID` goes on where a connection was lost',
    tag,
    params,
    query: LogFilter,
    data: LiveLog,
    sse: ({ ctx, principal, params: { robotId }, query, reader }) =>
      sseOf(ctx.services.logs.live(principal, { ...reader, robot_ids: [robotId] }, query)),
  }),
];
