import type { Answer, TestApp } from './app.js';
import { connect, type Reply, replyOf } from './trpc-client.js';

type Fields = Record<string, unknown>;

/** The operations of commands and actions, through one of the doors. */
export interface CommandDoor {
  /** `fields` may hold an `idempotency_key`. */
  send(robotId: string, fields: Fields): Promise<Reply>;
  /** `data` is {commands, next_cursor}. */
  list(robotId: string, query?: Fields): Promise<Reply>;
  get(robotId: string, commandId: string): Promise<Reply>;
  cancel(robotId: string, commandId: string): Promise<Reply>;
  ack(robotId: string, commandId: string, said: Fields): Promise<Reply>;
  /** `data` is the command, or null. */
  next(robotId: string, waitSeconds?: number): Promise<Reply>;
  stop(robotId: string, fields?: Fields): Promise<Reply>;
  clearStop(robotId: string): Promise<Reply>;
  stopFleet(fields?: Fields): Promise<Reply>;
  clearFleetStop(): Promise<Reply>;
  ownActions(): Promise<Reply>;
  allActions(): Promise<Reply>;
  createAction(action: Fields): Promise<Reply>;
  getAction(actionId: string): Promise<Reply>;
  updateAction(actionId: string, changes: Fields): Promise<Reply>;
  deleteAction(actionId: string): Promise<Reply>;
}

export const commandDoors: [string, (app: TestApp, token?: string) => CommandDoor][] = [
  ['REST', restDoor],
  ['tRPC', trpcDoor],
];

export function restDoor(app: TestApp, token = app.admin.token): CommandDoor {
  const replyTo = ({ status, json }: Answer): Reply =>
    json.success ? { status, data: json.data } : { status, error: json.error };
  const send = async (method: string, path: string, body?: unknown) =>
    replyTo(await app.call(method, `/api/v1${path}`, body, token));
  const control = (robotId: string) => `/robots/${encodeURIComponent(robotId)}/control`;
  return {
    async send(robotId, { idempotency_key, ...fields }) {
      const response = await fetch(`${app.url}/api/v1${control(robotId)}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          ...(idempotency_key !== undefined && { 'idempotency-key': `${idempotency_key}` }),
        },
        body: JSON.stringify(fields),
      });
      const { status } = response;
      const json = (await response.json()) as Answer['json'];
      return json.success ? { status, data: json.data } : { status, error: json.error };
    },
    async list(robotId, query = {}) {
      const search = new URLSearchParams(query as Record<string, string>);
      const reply = await send('GET', `${control(robotId)}/logs?${search}`);
      if (!reply.data) return reply;
      const { logs: commands, count, robot_id, next_cursor } = reply.data;
      if (count !== commands.length || robot_id !== robotId) throw new Error('a wrong head');
      return { ...reply, data: { commands, next_cursor } };
    },
    get: (robotId, id) => send('GET', `${control(robotId)}/${id}`),
    cancel: (robotId, id) => send('POST', `${control(robotId)}/${id}/cancel`),
    ack: (robotId, id, said) => send('POST', `${control(robotId)}/${id}/ack`, said),
    async next(robotId, wait = 0) {
      const reply = await send('GET', `${control(robotId)}/next?wait=${wait}`);
      return reply.data ? { ...reply, data: reply.data.command } : reply;
    },
    stop: (robotId, fields) => send('POST', `/robots/${robotId}/stop`, fields),
    clearStop: (robotId) => send('POST', `/robots/${robotId}/stop/clear`),
    stopFleet: (fields) => send('POST', '/fleet/stop', fields),
    clearFleetStop: () => send('POST', '/fleet/stop/clear'),
    ownActions: () => send('GET', '/actions'),
    allActions: () => send('GET', '/actions/all'),
    createAction: (action) => send('POST', '/actions', action),
    getAction: (id) => send('GET', `/actions/${id}`),
    updateAction: (id, changes) => send('PUT', `/actions/${id}`, changes),
    deleteAction: (id) => send('DELETE', `/actions/${id}`),
  };
}

function trpcDoor(app: TestApp, token = app.admin.token): CommandDoor {
  const { commands, actions } = connect(app, token);
  return {
    send: (robot_id, fields) => replyOf(commands.send.mutate({ robot_id, ...fields } as never)),
    async list(robot_id, query = {}) {
      const reply = await replyOf(commands.list.query({ robot_id, ...query } as never));
      if (!reply.data) return reply;
      const { commands: list, next_cursor } = reply.data;
      return { ...reply, data: { commands: list, next_cursor } };
    },
    get: (robot_id, command_id) => replyOf(commands.get.query({ robot_id, command_id })),
    cancel: (robot_id, command_id) => replyOf(commands.cancel.mutate({ robot_id, command_id })),
    ack: (robot_id, command_id, said) =>
      replyOf(commands.ack.mutate({ robot_id, command_id, ...said } as never)),
    async next(robot_id, wait = 0) {
      const reply = await replyOf(commands.next.query({ robot_id, wait }));
      return reply.data ? { ...reply, data: reply.data.command } : reply;
    },
    stop: (robot_id, fields) => replyOf(commands.stop.mutate({ robot_id, ...fields })),
    clearStop: (robot_id) => replyOf(commands.clearStop.mutate({ robot_id })),
    stopFleet: (fields) => replyOf(commands.stopFleet.mutate(fields)),
    clearFleetStop: () => replyOf(commands.clearFleetStop.mutate()),
    ownActions: () => replyOf(actions.list.query()),
    allActions: () => replyOf(actions.all.query()),
    createAction: (action) => replyOf(actions.create.mutate(action as never)),
    getAction: (action_id) => replyOf(actions.get.query({ action_id })),
    updateAction: (action_id, changes) =>
      replyOf(actions.update.mutate({ action_id, ...changes } as never)),
    deleteAction: (action_id) => replyOf(actions.delete.mutate({ action_id })),
  };
}
