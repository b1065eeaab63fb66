import { alertsRouter } from './alerts.js';
import { authRouter } from './auth.js';
import { keysRouter } from './keys.js';
import { logsRouter } from './logs.js';
import { robotsRouter } from './robots.js';
import { statusRouter } from './status.js';
import { systemRouter } from './system.js';
import { router } from './trpc.js';

/** Every operation of Fleetwire, whichever door it is called through. */
export const appRouter = router({
  alerts: alertsRouter,
  auth: authRouter,
  keys: keysRouter,
  logs: logsRouter,
  robots: robotsRouter,
  status: statusRouter,
  system: systemRouter,
});
export type AppRouter = typeof appRouter;
