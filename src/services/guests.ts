import type { Config } from '../config.js';
import { DomainError } from '../lib/errors.js';

/** Whether those without a credential are heard, by the APIs that were documented without one. */
export interface Guests {
  /** @throws DomainError `unauthenticated` when a caller from there needs a credential. */
  admit(caller: { loopback: boolean }): void;
}

export function createGuests({ anonymous }: Config['access']): Guests {
  return {
    admit({ loopback }) {
      if (anonymous === 'everyone' || (anonymous === 'loopback' && loopback)) return;
      throw new DomainError(
        'unauthenticated',
        anonymous === 'nobody'
          ? 'This needs a credential: a bearer token, or ?token='
          : 'Without a credential this is for calls from this machine alone (access.anonymous); send a bearer token, or ?token=',
      );
    },
  };
}
