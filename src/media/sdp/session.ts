import type { Clock } from '../../lib/clock.js';
import { MediaError, type SdpLink } from '../provider.js';
import { createNegotiation } from './negotiation.js';
import { type RemoteDescription, readDescription, wishesOf } from './offer.js';
import type { SdpSession, SdpSessionOptions, SdpState } from './transport.js';

/** A member that joins brings its tracks one by one; waiting this long makes one offer of them. */
export const COALESCE_MS = 30;
/** How long a client has to give way in a glare (as browsers do at once) before we do. */
export const HOLD_MS = 1_000;

interface HeldOffer {
  description: RemoteDescription;
  resolve(answer: string | null): void;
  reject(error: unknown): void;
}

/**
 * The negotiation of one client: `new` → its offer → `stable` → tracks change → our offer, `offered` → its answer →
 * `stable`. An offer of the client's that crosses ours is `held`: if its answer comes, the client has given way and the
 * held offer is dropped (null); if it does not come, ours is withdrawn and the held one answered.
 */
export function createSdpSession(options: SdpSessionOptions): SdpSession {
  const { clock } = options;
  const negotiation = createNegotiation(options);
  let state: SdpState = 'new';
  let held: HeldOffer | undefined;
  let onOffer: SdpLink['onOffer'];
  let stopCoalescing: (() => void) | undefined;
  let stopHolding: (() => void) | undefined;
  let chain: Promise<unknown> = Promise.resolve();

  /** One step after the other, whatever becomes of each. */
  function inOrder<T>(step: () => T | Promise<T>): Promise<T> {
    const result = chain.then(() => {
      if (state === 'closed') throw new MediaError('closed', 'The connection has ended.');
      return step();
    });
    chain = result.catch(() => undefined);
    return result;
  }

  /** For steps nobody waits for. */
  function later(step: () => void | Promise<void>): void {
    inOrder(step).catch((error: unknown) => {
      if (state !== 'closed') options.onError?.(error, undefined);
    });
  }

  function moveTo(next: 'stable' | 'offered'): void {
    if (state === 'closed') return;
    state = next;
    if (next === 'stable') schedule();
  }

  function schedule(): void {
    if (state !== 'stable' || stopCoalescing || !onOffer || !negotiation.hasNews()) return;
    stopCoalescing = after(clock, COALESCE_MS, () => {
      stopCoalescing = undefined;
      later(propose);
    });
  }

  async function propose(): Promise<void> {
    if (state !== 'stable' || !onOffer) return;
    const offer = await negotiation.propose();
    if (offer === undefined || isClosed()) return;
    moveTo('offered');
    onOffer(offer);
  }

  async function accept(description: RemoteDescription): Promise<string> {
    const answer = await negotiation.accept(description);
    moveTo('stable');
    return answer;
  }

  function hold(description: RemoteDescription): Promise<string | null> {
    held?.resolve(null);
    state = 'held';
    stopHolding ??= after(clock, HOLD_MS, () => later(giveWay));
    return new Promise((resolve, reject) => {
      held = { description, resolve, reject };
    });
  }

  async function giveWay(): Promise<void> {
    const offer = takeHeld();
    if (!offer) return;
    negotiation.withdraw();
    state = 'stable';
    try {
      offer.resolve(await accept(offer.description));
    } catch (error) {
      offer.reject(error);
      moveTo('stable');
    }
  }

  function takeHeld(): HeldOffer | undefined {
    stopHolding?.();
    stopHolding = undefined;
    const offer = held;
    held = undefined;
    return offer;
  }

  function isClosed(): boolean {
    return state === 'closed';
  }

  return {
    get state() {
      return state;
    },
    get fingerprint() {
      const { algorithm, value } = negotiation.fingerprint ?? {};
      return algorithm && `${algorithm} ${value}`;
    },
    get onOffer() {
      return onOffer;
    },
    set onOffer(listener) {
      onOffer = listener;
      schedule();
    },
    wishesOf,
    async offer(sdp) {
      // Wrapped, so that the chain does not wait for a held offer: the answer it waits for comes by the chain.
      const { answer } = await inOrder(async () => {
        const description = readDescription(sdp);
        return state === 'offered' || state === 'held'
          ? { answer: hold(description) }
          : { answer: await accept(description) };
      });
      return answer;
    },
    answer: (sdp) =>
      inOrder(() => {
        if (state !== 'offered' && state !== 'held') {
          throw new MediaError('wrong_state', 'There is no offer of ours to answer.');
        }
        negotiation.complete(readDescription(sdp));
        takeHeld()?.resolve(null);
        moveTo('stable');
      }),
    candidate() {},
    restartIce: (ufrag) => inOrder(() => negotiation.restartIce(ufrag)),
    watch(track) {
      later(() => {
        negotiation.watch(track);
        schedule();
      });
    },
    unwatch(trackId) {
      later(() => {
        negotiation.unwatch(trackId);
        schedule();
      });
    },
    close() {
      if (isClosed()) return;
      state = 'closed';
      stopCoalescing?.();
      takeHeld()?.reject(new MediaError('closed', 'The connection has ended.'));
      negotiation.close();
    },
  };
}

function after(clock: Clock, delayMs: number, task: () => void): () => void {
  const stop = clock.every(delayMs, () => {
    stop();
    task();
  });
  return stop;
}
