import type { Config } from '../config.js';
import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type { StreamGrant, StreamingToken, StreamingTokenInput } from '../contract/streaming.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Fleet } from './fleet.js';

/** What robots that hold a key of their own are called in their room. */
const ROBOT_PREFIX = 'robot:';

/** The way into the LiveKit room of a robot. */
export interface StreamingTokens {
  /**
   * A token to watch and to send data. A robot's own key may publish too, under the name `robot:<id>` alone; an account
   * may when it asks, since robots that log in as their account have no other; a scoped API key never. It lives as long
   * as configured, and no longer than the key it was asked for with.
   * @throws DomainError as `fleet.owned`; `unavailable` while LiveKit is not configured; `forbidden` for what such a key
   * may not be or do.
   */
  issue(principal: Principal, input: StreamingTokenInput): Promise<StreamingToken>;
}

export interface StreamingTokensDeps {
  fleet: Fleet;
  clock: Clock;
  livekit: Config['livekit'];
  sign: (keys: Config['livekit'], grant: StreamGrant) => Promise<string>;
}

export function createStreamingTokens({
  fleet,
  clock,
  livekit,
  sign,
}: StreamingTokensDeps): StreamingTokens {
  return {
    async issue(principal, { robot_id, identity: wanted, publish }) {
      await fleet.owned(principal, robot_id);
      if (!livekit.api_key) {
        throw new DomainError(
          'unavailable',
          'LiveKit is not configured on this server; its operator must set livekit.host, livekit.api_key and livekit.api_secret',
        );
      }
      const identity = identityOf(principal, robot_id, wanted);
      const can_publish = publish || principal.kind === 'robot_key';
      if (can_publish && principal.kind === 'api_key') {
        throw new DomainError('forbidden', "Only the account or the robot's own key may publish");
      }
      const grant = { room: robot_id, identity, can_publish };
      const ttlSeconds = Math.max(1, Math.floor(lifeMs(principal) / 1_000));
      return {
        ...grant,
        token: await sign(livekit, { ...grant, ttlSeconds }),
        host: livekit.host,
        expires_at: toInstant(clock.now() + ttlSeconds * 1_000),
      };
    },
  };

  function lifeMs({ expires_at }: Principal): number {
    const rest = expires_at === null ? Infinity : expires_at - clock.now();
    return Math.min(livekit.default_token_ttl, rest);
  }
}

/** Two of one name push each other out of a room, so nobody may take a robot's who could not publish in its place. */
function identityOf(principal: Principal, robotId: string, wanted: string | undefined): string {
  const own = `${ROBOT_PREFIX}${robotId}`;
  if (principal.kind === 'robot_key') {
    if (!wanted || wanted === own) return own;
    throw new DomainError('forbidden', `A robot's own key streams as ${own}; leave identity out`);
  }
  if (!wanted) return principal.account_id;
  if (principal.kind === 'api_key' && wanted.startsWith(ROBOT_PREFIX)) {
    throw new DomainError('forbidden', `Identities that begin with ${ROBOT_PREFIX} are for robots`);
  }
  return wanted;
}
