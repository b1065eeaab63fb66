import { MediaError } from '../provider.js';

/**
 * What mediasoup throws, in words for the caller: its messages name the parameter that is wrong, and the request after
 * it in brackets.
 */
export function engineError(error: unknown): MediaError {
  if (error instanceof MediaError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === 'InvalidStateError' || /handler with ID .* not found/.test(message)) {
    return new MediaError('closed', 'The connection has ended');
  }
  const reason = message.replace(/\s*\[[^\]]*\]/g, '').slice(0, 200);
  return new MediaError('bad_media', `The media parameters were refused: ${reason}`);
}
