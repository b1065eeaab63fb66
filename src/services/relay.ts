import { randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import { DomainError } from '../lib/errors.js';

/** Two callers and nothing between them: what one says reaches the other to the letter. */
export interface Relay {
  /**
   * Takes a place in a lobby. One whose holder does not answer any more is given away.
   * @returns undefined when both are taken.
   * @throws DomainError `overloaded` when the relay has no room for any more callers.
   */
  join(lobby: string, peer: RelayPeer): Promise<RelaySeat | undefined>;
  /** How many callers have a place. */
  count(): number;
}

/** A caller, as the relay sees one. */
export interface RelayPeer {
  /** Text, in UTF-8. */
  send(frame: Uint8Array): void;
  /** Whether it answers when asked; settles soon. */
  isAlive(): Promise<boolean>;
  /** Its place is given to another. */
  end(): void;
}

export interface RelaySeat {
  /** A UUID, new for every place. */
  clientId: string;
  /** Hands a frame to the other caller; when nobody is there it is lost. */
  forward(frame: Uint8Array): void;
  leave(): void;
}

const SEATS = 2;
const CALLERS_LIMIT = 10_000;

/**
 * The lobby of a caller: a named one of the caller's account, or the one that belongs to the credential itself. Callers
 * without credential (null) share lobbies among themselves alone.
 */
export function lobbyOf(principal: Principal | null, room: string | undefined): string {
  const tenant = principal && [principal.account_id];
  const place = room === undefined ? ['key', principal?.key_id ?? null] : ['room', room];
  return JSON.stringify([tenant, place]);
}

export function createRelay({ callersLimit = CALLERS_LIMIT } = {}): Relay {
  const lobbies = new Map<string, Set<RelayPeer>>();
  let callers = 0;

  function take(lobby: string, peer: RelayPeer): RelaySeat | undefined {
    const peers = lobbies.get(lobby) ?? new Set();
    if (peers.size >= SEATS) return undefined;
    if (callers >= callersLimit) {
      throw new DomainError('overloaded', 'The relay is full', {
        limit: 'relay_callers',
        retryAfterMs: 1_000,
      });
    }
    lobbies.set(lobby, peers.add(peer));
    callers += 1;
    return {
      clientId: randomUUID(),
      forward(frame) {
        if (!peers.has(peer)) return;
        for (const other of peers) if (other !== peer) other.send(frame);
      },
      leave: () => drop(lobby, peer),
    };
  }

  function drop(lobby: string, peer: RelayPeer): void {
    const peers = lobbies.get(lobby);
    if (!peers?.delete(peer)) return;
    callers -= 1;
    if (peers.size === 0) lobbies.delete(lobby);
  }

  return {
    async join(lobby, peer) {
      const seat = take(lobby, peer);
      if (seat) return seat;
      // A phone that changed its network is back long before its old connection is known to be dead.
      const holders = [...(lobbies.get(lobby) ?? [])];
      const alive = await Promise.all(holders.map((holder) => holder.isAlive()));
      for (const [index, holder] of holders.entries()) {
        if (alive[index]) continue;
        drop(lobby, holder);
        holder.end();
      }
      return take(lobby, peer);
    },
    count: () => callers,
  };
}
