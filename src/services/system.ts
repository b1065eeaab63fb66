import type { Config } from '../config.js';
import { toInstant } from '../contract/common.js';
import { BATCH_LIMIT } from '../contract/status.js';
import type { Health, PublicConfig } from '../contract/system.js';
import type { Clock } from '../lib/clock.js';
import type { MediaProvider } from '../media/provider.js';

/** What the server says of itself. */
export interface System {
  /** Asks every part that can fail. */
  health(): Promise<Health>;
  version(): { version: string; name: 'Fleetwire' };
  config(): PublicConfig;
}

export interface SystemDeps {
  version: string;
  config: Config;
  clock: Clock;
  /** The parts that can fail, by name; each throws when it does. */
  checks: Readonly<Record<string, () => Promise<void>>>;
  /** The server is well without it. */
  media: Pick<MediaProvider, 'health'>;
}

const CHECK_LIMIT_MS = 2_000;

export function createSystem({ version, config, clock, checks, media }: SystemDeps): System {
  const { server, features, livekit, limits } = config;
  return {
    async health() {
      const failing: string[] = [];
      await Promise.all(
        Object.entries(checks).map(async ([name, check]) => {
          if (!(await passes(check))) failing.push(name);
        }),
      );
      return {
        status: failing.length === 0 ? 'healthy' : 'unhealthy',
        timestamp: toInstant(clock.now()),
        version,
        video: (await media.health()).ok ? 'on' : 'off',
        failing,
      };
    },
    version: () => ({ version, name: 'Fleetwire' }),
    config: () => ({
      name: 'Fleetwire',
      version,
      features,
      livekit: livekit.api_key ? { host: livekit.host } : null,
      ice_servers: [],
      limits: {
        robots_per_account: limits.robots_per_account,
        requests_per_second: limits.requests_per_second,
        body_bytes: server.body_limit,
        batch_samples: BATCH_LIMIT,
      },
    }),
  };
}

async function passes(check: () => Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), CHECK_LIMIT_MS);
  });
  try {
    return await Promise.race([check().then(() => true), late]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
