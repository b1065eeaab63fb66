import type { StreamGrant } from '../../contract/streaming.js';

/** A LiveKit access token (JWT, HS256) for one room, signed with these keys. */
export async function signLivekitToken(
  keys: { api_key: string; api_secret: string },
  { room, identity, can_publish, ttlSeconds }: StreamGrant,
): Promise<string> {
  // About 18 MB and 100 ms, for servers that are never asked.
  const { AccessToken } = await import('livekit-server-sdk');
  const token = new AccessToken(keys.api_key, keys.api_secret, { identity, ttl: ttlSeconds });
  token.addGrant({
    room,
    roomJoin: true,
    canPublish: can_publish,
    canSubscribe: true,
    canPublishData: true,
  });
  return token.toJwt();
}
