import { z } from 'zod';
import { InstantQuery, isShallow, RobotId, TOO_DEEP } from '../../contract/common.js';
import { LiveMessage, MESSAGES_LIMIT, MessagePayload, SchemaId } from '../../contract/messages.js';
import { EventId } from '../../contract/status.js';
import { DomainError } from '../../lib/errors.js';
import { isJsonObject } from '../../lib/json-object.js';
import { messageJson } from '../../services/messages.js';
import { JsonText, type Row, row } from '../define.js';
import { parseJson } from '../json-body.js';
import { sseOf } from '../sse.js';

const MESSAGES = '/api/v1/robots/{robotId}/messages';
const RobotParams = z.object({ robotId: RobotId });

/** The body as it was written, and what it says. @throws DomainError `invalid_input` when it is no object, or too deep. */
function readMessage(bytes: Buffer) {
  const payload_json = bytes.toString('utf8');
  const payload = parseJson(payload_json);
  if (!isJsonObject(payload)) {
    throw new DomainError('invalid_input', 'The message must be a JSON object');
  }
  if (!isShallow(payload, payload_json))
    throw new DomainError('invalid_input', `The message ${TOO_DEEP}`);
  return { payload, payload_json };
}

export const MESSAGE_ROWS: readonly Row[] = [
  row('POST', `${MESSAGES}/{schema}`, 'messages.push', {
    summary: "Store a message of the account's own kind; the body is the message",
    tag: 'Messages',
    params: RobotParams.extend({ schema: SchemaId }),
    query: z.object({ timestamp: InstantQuery, event_id: EventId.optional() }),
    body: MessagePayload,
    direct: async ({ ctx, principal, params, query, bytes }) =>
      ctx.services.messages.push(principal, params.robotId, {
        schema_id: params.schema,
        ...readMessage(bytes),
        ...query,
      }),
  }),
  row('GET', MESSAGES, 'messages.list', {
    summary: 'Get the messages of a robot, newest first',
    tag: 'Messages',
    params: RobotParams,
    query: z.object({
      schema: SchemaId.optional(),
      start: InstantQuery,
      end: InstantQuery,
      limit: z.coerce.number().int().min(1).max(MESSAGES_LIMIT).default(100),
      cursor: z.string().max(64).optional(),
    }),
    direct: async ({ ctx, principal, params: { robotId }, query: { schema, ...query } }) => {
      const { rows, next_cursor } = await ctx.services.messages.page(principal, robotId, {
        schema_id: schema,
        ...query,
      });
      const head = JSON.stringify({ robot_id: robotId, count: rows.length, next_cursor });
      const messages = rows.map(messageJson).join(',');
      return new JsonText(`${head.slice(0, -1)},"messages":[${messages}]}`);
    },
  }),
  row('GET', `${MESSAGES}/subscribe`, 'messages.live', {
    summary: 'Watch the messages of a robot',
    tag: 'Messages',
    params: RobotParams,
    query: z.object({ schema: SchemaId.optional() }),
    data: LiveMessage,
    sse: ({ ctx, principal, params: { robotId }, query: { schema }, reader }) =>
      sseOf(ctx.services.messages.live(principal, { ...reader, robot_ids: [robotId] }, schema)),
  }),
];
