import { DomainError } from './errors.js';
import { networkOf } from './network.js';

/** How many connections, or the like, of one kind each address may hold open at once. */
export interface AddressPlaces {
  /** @throws DomainError `rate_limited` when the address has no place left. */
  assertFree(ip: string): void;
  /** Takes one place; the function returned gives it back, and is called once. */
  take(ip: string): () => void;
}

export function createAddressPlaces(
  limit: number,
  what: 'sockets' | 'streams' | 'media sessions',
): AddressPlaces {
  const taken = new Map<string, number>();
  const countOf = (network: string) => taken.get(network) ?? 0;
  return {
    assertFree(ip) {
      if (countOf(networkOf(ip)) < limit) return;
      throw new DomainError('rate_limited', `At most ${limit} ${what} from one address`, {
        limit: 'sockets_per_ip',
        retryAfterMs: 1_000,
      });
    },
    take(ip) {
      const network = networkOf(ip);
      taken.set(network, countOf(network) + 1);
      return () => {
        const left = countOf(network) - 1;
        if (left > 0) taken.set(network, left);
        else taken.delete(network);
      };
    },
  };
}
