import { z } from 'zod';
import {
  AlertRuleId,
  CreateAlertRuleInput,
  UpdateAlertRuleInput,
} from '../../contract/alert-rules.js';
import {
  Alert,
  AlertEvent,
  AlertId,
  AlertStatus,
  LIST_ALERTS_LIMIT,
  ListAlertsInput,
  Severity,
  SubmitAlertInput,
} from '../../contract/alerts.js';
import { RobotId } from '../../contract/common.js';
import { type Row, row } from '../define.js';
import { sseOf } from '../sse.js';

const AlertParams = z.object({ alertId: AlertId });
const RuleParams = z.object({ ruleId: AlertRuleId });
const ALERTS = '/api/v1/alerts';
const RULES = '/api/v1/alert-rules';

/** A form's empty choice is none. */
const Nothing = z.literal('');
const { robot_id, alert_type, cursor } = ListAlertsInput.shape;

export const ALERT_ROWS: readonly Row[] = [
  row('POST', '/api/v1/robots/{robotId}/alert', 'alerts.submit', {
    summary: 'Raise an alert',
    tag: 'Alerts',
    params: z.object({ robotId: RobotId }),
    body: SubmitAlertInput.omit({ robot_id: true }),
    missing: 'alert_type, severity and message are required',
  }),
  row('GET', ALERTS, 'alerts.list', {
    summary: 'List alerts, newest first; `X-Next-Cursor` in the answer leads to the next page',
    tag: 'Alerts',
    query: z.object({
      robot_id: robot_id.or(Nothing),
      status: AlertStatus.or(Nothing).optional(),
      severity: Severity.or(Nothing).optional(),
      alert_type: alert_type.or(Nothing),
      limit: z.coerce.number().int().min(1).max(LIST_ALERTS_LIMIT).default(100),
      cursor: cursor.or(Nothing),
    }),
    data: z.array(Alert),
    input: ({ query: { limit, ...filters } }) => ({
      limit,
      ...Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== '')),
    }),
    output: ({ alerts }) => alerts,
    headers: ({ next_cursor }) => (next_cursor === null ? {} : { 'x-next-cursor': next_cursor }),
  }),
  row('GET', `${ALERTS}/subscribe`, 'alerts.live', {
    summary: 'Watch what happens to alerts',
    tag: 'Alerts',
    query: z.object({ robot_id: RobotId.or(Nothing).optional() }),
    data: AlertEvent,
    sse: ({ ctx, principal, query, reader }) =>
      sseOf(
        ctx.services.alerts.live(
          principal,
          query.robot_id ? { ...reader, robot_ids: [query.robot_id] } : reader,
        ),
      ),
  }),
  row('GET', `${ALERTS}/{alertId}`, 'alerts.get', {
    summary: 'Get an alert',
    tag: 'Alerts',
    params: AlertParams,
  }),
  row('POST', `${ALERTS}/{alertId}/acknowledge`, 'alerts.acknowledge', {
    summary: 'Acknowledge an alert; repeating it changes nothing',
    tag: 'Alerts',
    params: AlertParams,
  }),
  row('POST', `${ALERTS}/{alertId}/resolve`, 'alerts.resolve', {
    summary: 'Resolve an alert; repeating it changes nothing',
    tag: 'Alerts',
    params: AlertParams,
  }),
  row('GET', RULES, 'alertRules.list', { summary: 'List alert rules', tag: 'Alert rules' }),
  row('POST', RULES, 'alertRules.create', {
    summary: 'Create an alert rule; every status is judged by it as it arrives',
    tag: 'Alert rules',
    body: CreateAlertRuleInput,
    missing: 'name, condition and severity are required',
  }),
  row('GET', `${RULES}/{ruleId}`, 'alertRules.get', {
    summary: 'Get an alert rule',
    tag: 'Alert rules',
    params: RuleParams,
  }),
  row('PUT', `${RULES}/{ruleId}`, 'alertRules.update', {
    summary: 'Change an alert rule; what is left out stays as it is',
    tag: 'Alert rules',
    params: RuleParams,
    body: UpdateAlertRuleInput.omit({ rule_id: true }),
  }),
  row('DELETE', `${RULES}/{ruleId}`, 'alertRules.delete', {
    summary: 'Delete an alert rule and resolve its open alerts',
    tag: 'Alert rules',
    params: RuleParams,
  }),
];
