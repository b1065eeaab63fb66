import { z } from 'zod';
import {
  ApiKeyId,
  CreateKeyInput,
  LoginInput,
  RegisterAccountInput,
  RotateKeyInput,
  SendCodeInput,
} from '../../contract/access.js';
import { InstantQuery, RobotId } from '../../contract/common.js';
import { DeleteRobotInput, RegisterRobotInput, UpdateRobotInput } from '../../contract/robots.js';
import {
  HistoryEntry,
  MAX_POINTS,
  PushBatchInput,
  PushStatusInput,
  Trajectory,
} from '../../contract/status.js';
import { Health } from '../../contract/system.js';
import { DomainError } from '../../lib/errors.js';
import { type Row, row, type Surface } from '../define.js';
import { ALERT_ROWS } from './kairoio-alerts.js';
import { AUDIT } from './kairoio-audit.js';
import { ACTIONS, COMMANDS } from './kairoio-commands.js';
import { LOGS } from './kairoio-logs.js';
import { MAPS } from './kairoio-maps.js';
import { MESSAGE_ROWS } from './kairoio-messages.js';
import { NOTIFICATIONS } from './kairoio-notifications.js';
import { SCHEMAS } from './kairoio-schemas.js';
import { latestText, readHistory } from './kairoio-status.js';
import { readBatchBody, readStatusBody } from './kairoio-status-body.js';
import { STREAMING } from './kairoio-streaming.js';
import { STREAMS } from './kairoio-streams.js';
import { VIDEO } from './kairoio-video.js';

const RobotParams = z.object({ robotId: RobotId });
const KeyParams = z.object({ keyId: ApiKeyId });
const ROBOT = '/api/v1/robots/{robotId}';

const SYSTEM: readonly Row[] = [
  row('GET', '/health', 'system.health', {
    summary: 'Health check',
    tag: 'System',
    data: Health.pick({ status: true, timestamp: true }),
    output: ({ status, timestamp, failing }) => {
      if (status === 'healthy') return { status, timestamp };
      throw new DomainError('unavailable', `Not working: ${failing.join(', ')}`);
    },
  }),
  row('GET', '/version', 'system.version', { summary: 'Server version', tag: 'System' }),
  row('GET', '/api/v1/config', 'system.config', { summary: 'Public configuration', tag: 'System' }),
];

const AUTH: readonly Row[] = [
  row('POST', '/api/v1/auth/login', 'auth.login', {
    summary: 'Log in; the certification key in the answer is the bearer token',
    tag: 'Authentication',
    body: LoginInput,
    missing: 'Username and password are required',
  }),
  row('POST', '/api/v1/auth/register/send-code', 'auth.sendCode', {
    summary: 'Mail a verification code to a new address',
    tag: 'Authentication',
    body: SendCodeInput,
    missing: 'Email is required',
  }),
  row('POST', '/api/v1/auth/register', 'auth.register', {
    summary: 'Create an account with the code from the mail',
    tag: 'Authentication',
    body: RegisterAccountInput,
    missing: 'Email, password and code are required',
  }),
  row('GET', '/api/v1/auth/whoami', 'auth.whoami', {
    summary: 'Who the bearer token is and what it may do',
    tag: 'Authentication',
  }),
  row('GET', '/api/v1/keys', 'keys.list', { summary: 'List API keys', tag: 'API keys' }),
  row('POST', '/api/v1/keys', 'keys.create', {
    summary: 'Create an API key; the secret is in this answer alone',
    tag: 'API keys',
    body: CreateKeyInput,
    missing: 'name is required',
  }),
  row('POST', '/api/v1/keys/{keyId}/rotate', 'keys.rotate', {
    summary: 'Replace a key; the old secret works until the overlap ends',
    tag: 'API keys',
    params: KeyParams,
    body: RotateKeyInput.omit({ key_id: true }).optional(),
  }),
  row('DELETE', '/api/v1/keys/{keyId}', 'keys.revoke', {
    summary: 'Revoke a key at once',
    tag: 'API keys',
    params: KeyParams,
  }),
];

const ROBOTS: readonly Row[] = [
  row('POST', '/api/v1/robots', 'robots.register', {
    summary: 'Register a robot',
    tag: 'Robots',
    body: RegisterRobotInput,
    missing: 'robot_id and robot_type are required',
  }),
  row('GET', '/api/v1/robots', 'robots.list', { summary: 'List all robots', tag: 'Robots' }),
  row('GET', ROBOT, 'robots.get', { summary: 'Get a robot', tag: 'Robots', params: RobotParams }),
  row('PUT', ROBOT, 'robots.update', {
    summary: 'Change a robot; what is left out stays as it is',
    tag: 'Robots',
    params: RobotParams,
    body: UpdateRobotInput.omit({ robot_id: true }),
  }),
  row('DELETE', ROBOT, 'robots.delete', {
    summary: 'Delete a robot with all its data',
    tag: 'Robots',
    params: RobotParams,
    body: DeleteRobotInput.omit({ robot_id: true }),
    missing: "confirm: must be the robot's id",
  }),
];

const TELEMETRY: readonly Row[] = [
  row('POST', `${ROBOT}/status`, 'status.push', {
    summary: 'Store a status',
    tag: 'Telemetry',
    params: RobotParams,
    body: PushStatusInput.omit({ robot_id: true }),
    direct: async ({ ctx, principal, params, bytes }) =>
      ctx.services.statuses.push(principal, params.robotId, readStatusBody(bytes)),
  }),
  row('POST', `${ROBOT}/status/batch`, 'status.pushBatch', {
    summary: 'Store up to 1,000 samples, each with its own time; sending it again changes nothing',
    tag: 'Telemetry',
    params: RobotParams,
    body: PushBatchInput.omit({ robot_id: true }),
    direct: async ({ ctx, principal, params, bytes }) =>
      ctx.services.statuses.pushBatch(principal, params.robotId, readBatchBody(bytes)),
  }),
  row('GET', `${ROBOT}/status`, 'status.latest', {
    summary: 'Get the latest status',
    tag: 'Telemetry',
    params: RobotParams,
    direct: async ({ ctx, principal, params: { robotId } }) =>
      latestText(robotId, await ctx.services.statuses.latest(principal, robotId)),
  }),
  row('GET', `${ROBOT}/history`, 'status.history', {
    summary: 'Get the statuses of a range of time, oldest first, or the newest `limit` of them',
    tag: 'Telemetry',
    params: RobotParams,
    query: z.object({
      start: InstantQuery,
      end: InstantQuery,
      limit: z.coerce.number().int().min(1).max(1_000).optional(),
    }),
    data: z.object({ robot_id: RobotId, count: z.int(), history: z.array(HistoryEntry) }),
    stream: ({ ctx, principal, params: { robotId }, query: { start, end, limit } }) =>
      readHistory(ctx.services.history, principal, robotId, { start, end, limit }),
  }),
  row('GET', `${ROBOT}/trajectory`, 'status.trajectory', {
    summary: 'Get the path of a robot, oldest point first; by default that of the last 24 hours',
    tag: 'Telemetry',
    params: RobotParams,
    query: z.object({
      start: InstantQuery,
      end: InstantQuery,
      max_points: z.coerce.number().int().min(2).max(MAX_POINTS).optional(),
    }),
    data: Trajectory,
    stream: async ({ ctx, principal, params: { robotId }, query: { max_points, ...range } }) => ({
      head: { robot_id: robotId },
      list: 'path',
      pages: await ctx.services.history.trajectoryJson(principal, robotId, range, max_points),
    }),
  }),
];

const Failure = z
  .object({
    success: z.literal(false),
    error: z.string().meta({ description: 'One sentence' }),
    code: z.string(),
    limit: z.string().optional().meta({ description: 'The name of the limit that was hit' }),
    issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Failure' });

/** The fleet API of the KairoIO server, and what Fleetwire adds to it. */
export const kairoio: Surface = {
  name: 'kairoio',
  rows: [
    ...SYSTEM,
    ...AUTH,
    ...ROBOTS,
    ...TELEMETRY,
    ...LOGS,
    ...ALERT_ROWS,
    ...COMMANDS,
    ...ACTIONS,
    ...MAPS,
    ...MESSAGE_ROWS,
    ...SCHEMAS,
    ...AUDIT,
    ...NOTIFICATIONS,
    ...STREAMING,
    ...STREAMS,
    ...VIDEO,
  ],
  success: (data) => ({ success: true, data }),
  failure: ({ message, code, limit, issues }) => ({
    success: false,
    error: message,
    code,
    limit,
    issues,
  }),
  successSchema: (data) => z.object({ success: z.literal(true), data }),
  failureSchema: Failure,
};
