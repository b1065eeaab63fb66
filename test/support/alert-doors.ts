import type { TestApp } from './app.js';
import { connect, type Reply, replyOf } from './trpc-client.js';

type Fields = Record<string, unknown>;

/** The operations of alerts and their rules, through one of the doors. */
export interface AlertDoor {
  submit(robotId: string, alert: Fields): Promise<Reply>;
  /** `data` is the page: {alerts, next_cursor}. */
  list(query?: Fields): Promise<Reply>;
  get(alertId: string): Promise<Reply>;
  acknowledge(alertId: string): Promise<Reply>;
  resolve(alertId: string): Promise<Reply>;
  createRule(rule: Fields): Promise<Reply>;
  listRules(): Promise<Reply>;
  getRule(ruleId: string): Promise<Reply>;
  updateRule(ruleId: string, changes: Fields): Promise<Reply>;
  deleteRule(ruleId: string): Promise<Reply>;
}

export const alertDoors: [string, (app: TestApp, token?: string) => AlertDoor][] = [
  ['REST', restDoor],
  ['tRPC', trpcDoor],
];

function restDoor(app: TestApp, token = app.admin.token): AlertDoor {
  async function send(method: string, path: string, body?: unknown): Promise<Reply> {
    const { status, json } = await app.call(method, `/api/v1${path}`, body, token);
    return json.success ? { status, data: json.data } : { status, error: json.error };
  }
  const of = encodeURIComponent;
  return {
    submit: (robotId, alert) => send('POST', `/robots/${of(robotId)}/alert`, alert),
    async list(query = {}) {
      const search = new URLSearchParams(query as Record<string, string>);
      const answer = await app.call('GET', `/api/v1/alerts?${search}`, undefined, token);
      if (!answer.json.success) return { status: answer.status, error: answer.json.error };
      const next_cursor = answer.headers.get('x-next-cursor');
      return { status: answer.status, data: { alerts: answer.json.data, next_cursor } };
    },
    get: (id) => send('GET', `/alerts/${of(id)}`),
    acknowledge: (id) => send('POST', `/alerts/${of(id)}/acknowledge`),
    resolve: (id) => send('POST', `/alerts/${of(id)}/resolve`),
    createRule: (rule) => send('POST', '/alert-rules', rule),
    listRules: () => send('GET', '/alert-rules'),
    getRule: (id) => send('GET', `/alert-rules/${of(id)}`),
    updateRule: (id, changes) => send('PUT', `/alert-rules/${of(id)}`, changes),
    deleteRule: (id) => send('DELETE', `/alert-rules/${of(id)}`),
  };
}

function trpcDoor(app: TestApp, token = app.admin.token): AlertDoor {
  const { alerts, alertRules } = connect(app, token);
  return {
    submit: (robot_id, alert) => replyOf(alerts.submit.mutate({ robot_id, ...alert } as never)),
    async list(query = {}) {
      const reply = await replyOf(alerts.list.query(query as never));
      if (!reply.data) return reply;
      const { count, ...data } = reply.data;
      if (count !== data.alerts.length) throw new Error('count is not the number of alerts');
      return { ...reply, data };
    },
    get: (alert_id) => replyOf(alerts.get.query({ alert_id })),
    acknowledge: (alert_id) => replyOf(alerts.acknowledge.mutate({ alert_id })),
    resolve: (alert_id) => replyOf(alerts.resolve.mutate({ alert_id })),
    createRule: (rule) => replyOf(alertRules.create.mutate(rule as never)),
    listRules: () => replyOf(alertRules.list.query()),
    getRule: (rule_id) => replyOf(alertRules.get.query({ rule_id })),
    updateRule: (rule_id, changes) =>
      replyOf(alertRules.update.mutate({ rule_id, ...changes } as never)),
    deleteRule: (rule_id) => replyOf(alertRules.delete.mutate({ rule_id })),
  };
}
