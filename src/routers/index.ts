import { actionsRouter } from './actions.js';
import { alertRulesRouter } from './alert-rules.js';
import { alertsRouter } from './alerts.js';
import { auditRouter } from './audit.js';
import { authRouter } from './auth.js';
import { commandsRouter } from './commands.js';
import { keysRouter } from './keys.js';
import { logsRouter } from './logs.js';
import { mapsRouter } from './maps.js';
import { messagesRouter } from './messages.js';
import { notificationsRouter } from './notifications.js';
import { robotsRouter } from './robots.js';
import { roomsRouter } from './rooms.js';
import { messageSchemasRouter, schemasRouter } from './schemas.js';
import { statusRouter } from './status.js';
import { streamingRouter } from './streaming.js';
import { streamsRouter } from './streams.js';
import { systemRouter } from './system.js';
import { router } from './trpc.js';
import { videoRouter } from './video.js';
import { whepRouter, whipRouter } from './video-sessions.js';

/** Every operation of Fleetwire, whichever door it is called through. */
export const appRouter = router({
  actions: actionsRouter,
  alertRules: alertRulesRouter,
  alerts: alertsRouter,
  audit: auditRouter,
  auth: authRouter,
  commands: commandsRouter,
  keys: keysRouter,
  logs: logsRouter,
  maps: mapsRouter,
  messages: messagesRouter,
  messageSchemas: messageSchemasRouter,
  notifications: notificationsRouter,
  robots: robotsRouter,
  rooms: roomsRouter,
  schemas: schemasRouter,
  status: statusRouter,
  streaming: streamingRouter,
  streams: streamsRouter,
  system: systemRouter,
  video: videoRouter,
  whep: whepRouter,
  whip: whipRouter,
});
export type AppRouter = typeof appRouter;
