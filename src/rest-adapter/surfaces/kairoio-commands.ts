import { z } from 'zod';
import { ActionId, CreateActionInput, UpdateActionInput } from '../../contract/actions.js';
import {
  Acknowledgement,
  COMMANDS_PAGE,
  Command,
  CommandFrame,
  CommandId,
  CommandStatus,
  IdempotencyKey,
  SendCommandInput,
  StopFleetInput,
  StopInput,
  WAIT_LIMIT_SECONDS,
} from '../../contract/commands.js';
import { RobotId } from '../../contract/common.js';
import { merge } from '../../lib/merge.js';
import { type Row, row, type SseMessage } from '../define.js';

const ROBOT = '/api/v1/robots/{robotId}';
const CONTROL = `${ROBOT}/control`;
const FLEET = '/api/v1/fleet';
const RobotParams = z.object({ robotId: RobotId });
const CommandParams = RobotParams.extend({ commandId: CommandId });
const tag = 'Commands';
/** Beside the longest wait: the time to store that the command was handed out. */
const PATIENCE_MS = (WAIT_LIMIT_SECONDS + 15) * 1_000;

export const COMMANDS: readonly Row[] = [
  row('POST', CONTROL, 'commands.send', {
    summary: 'Send a command; it is kept for an offline robot until it expires',
    tag,
    params: RobotParams,
    requestHeaders: z.object({ 'idempotency-key': IdempotencyKey.optional() }),
    body: SendCommandInput.omit({ robot_id: true, idempotency_key: true }),
    missing: 'action is required',
    input: ({ params, body, headers }) => ({
      ...body,
      robot_id: params.robotId,
      idempotency_key: headers['idempotency-key'],
    }),
  }),
  row('GET', `${CONTROL}/logs`, 'commands.list', {
    summary: 'Get the commands of a robot, newest first',
    tag,
    params: RobotParams,
    query: z.object({
      status: CommandStatus.optional(),
      limit: z.coerce.number().int().min(1).max(COMMANDS_PAGE).optional(),
      cursor: z.string().max(64).optional(),
    }),
    data: z.object({
      robot_id: RobotId,
      count: z.int(),
      logs: z.array(Command),
      next_cursor: z.string().nullable(),
    }),
    output: ({ commands, ...page }) => ({ ...page, logs: commands }),
  }),
  row('GET', `${CONTROL}/next`, 'commands.next', {
    summary: 'Wait for a command: the oldest that the robot has not acknowledged',
    tag,
    params: RobotParams,
    query: z.object({ wait: z.coerce.number().min(0).max(WAIT_LIMIT_SECONDS).optional() }),
    patienceMs: PATIENCE_MS,
  }),
  row('GET', `${CONTROL}/subscribe`, 'commands.receive', {
    summary: 'Get the commands of a robot as they come, those not acknowledged before first',
    tag,
    params: RobotParams,
    query: z.object({
      notices: z.literal('viewers').optional().meta({
        description: 'Also tells by events named `viewers` whether anybody watches the robot',
      }),
    }),
    data: CommandFrame,
    async *sse({ ctx, principal, params: { robotId }, query, reader }): AsyncGenerator<SseMessage> {
      const { robots, commands, robotVideo } = ctx.services;
      await robots.get(principal, robotId);
      // Nothing to say yet: a stream without commands is open all the same.
      yield {};
      const own = messagesOf(commands.receive(principal, robotId, reader));
      if (query.notices === undefined) return yield* own;
      const notices = messagesOf(robotVideo.notices(principal, robotId, reader), 'viewers');
      yield* merge(own, notices);
    },
  }),
  row('GET', `${CONTROL}/{commandId}`, 'commands.get', {
    summary: 'Get a command and what became of it',
    tag,
    params: CommandParams,
  }),
  row('POST', `${CONTROL}/{commandId}/cancel`, 'commands.cancel', {
    summary: 'Cancel a command; to make a robot halt, send stop',
    tag,
    params: CommandParams,
  }),
  row('POST', `${CONTROL}/{commandId}/ack`, 'commands.ack', {
    summary: 'Say what became of a command; a step back changes nothing',
    tag,
    params: CommandParams,
    body: Acknowledgement,
    missing: 'status is required',
  }),
  row('POST', `${ROBOT}/stop`, 'commands.stop', {
    summary: 'Stop a robot and take no command for it until the stop is cleared',
    tag,
    params: RobotParams,
    body: StopInput.omit({ robot_id: true }).optional(),
  }),
  row('POST', `${ROBOT}/stop/clear`, 'commands.clearStop', {
    summary: 'Take commands for a robot again',
    tag,
    params: RobotParams,
  }),
  row('POST', `${FLEET}/stop`, 'commands.stopFleet', {
    summary: 'Stop every robot of the account until the stop is cleared',
    tag,
    body: StopFleetInput,
  }),
  row('POST', `${FLEET}/stop/clear`, 'commands.clearFleetStop', {
    summary: 'Take commands for every robot of the account again',
    tag,
  }),
];

async function* messagesOf(
  frames: AsyncIterable<object>,
  event?: string,
): AsyncGenerator<SseMessage> {
  for await (const frame of frames) yield { event, data: JSON.stringify(frame) };
}

const ACTION = '/api/v1/actions/{actionId}';
const ActionParams = z.object({ actionId: ActionId });

export const ACTIONS: readonly Row[] = [
  row('GET', '/api/v1/actions', 'actions.list', {
    summary: "List the account's own actions",
    tag: 'Actions',
  }),
  row('GET', '/api/v1/actions/all', 'actions.all', {
    summary: "List the built-in actions and the account's own",
    tag: 'Actions',
  }),
  row('POST', '/api/v1/actions', 'actions.create', {
    summary: 'Add an action that robots can be told',
    tag: 'Actions',
    body: CreateActionInput,
    missing: 'name is required',
  }),
  row('GET', ACTION, 'actions.get', {
    summary: 'Get an action; the id of a built-in one is its name',
    tag: 'Actions',
    params: ActionParams,
  }),
  row('PUT', ACTION, 'actions.update', {
    summary: 'Change an action of the account; what is left out stays as it is',
    tag: 'Actions',
    params: ActionParams,
    body: UpdateActionInput.omit({ action_id: true }),
  }),
  row('DELETE', ACTION, 'actions.delete', {
    summary: 'Delete an action of the account',
    tag: 'Actions',
    params: ActionParams,
  }),
];
