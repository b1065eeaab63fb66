import { type AnyRouter, initTRPC } from '@trpc/server';
import { type Encoder, getWSConnectionHandler } from '@trpc/server/adapters/ws';
import { Handover } from '../realtime/handover.js';
import { handoverIn, type Message } from './trpc-ws-native.js';

/** It takes a few turns of the event loop; a library that does not answer has changed. */
const ANSWER_LIMIT_MS = 2_000;
const CALL = { id: 7, method: 'subscription', params: { path: 'watch' } };

/**
 * Whether the library still does what handovers rely on: it gives the encoder what a subscription yields as it is, with
 * the id of the request, and sends at once what comes back. Tried with a subscription of its own, in memory.
 */
export async function passesHandovers(router: AnyRouter): Promise<boolean> {
  const { transformer } = router._def._config;
  const t = initTRPC.create({ transformer });
  const handover = new Handover(() => {});
  const watched = t.router({
    watch: t.procedure.subscription(async function* () {
      yield handover;
    }),
  });
  const steps: string[] = [];
  const encoder: Encoder = {
    encode(message) {
      const { id, result } = message as Message;
      const said = handoverIn(message) === handover ? 'handover' : String(result?.type);
      steps.push(`encode ${id} ${said}`);
      return said;
    },
    decode: (data) => JSON.parse(String(data)),
  };
  const listen = getWSConnectionHandler({
    wss: null as never,
    router: watched,
    experimental_encoder: encoder,
  });
  await new Promise<void>((resolve) => {
    const listeners = new Map<string, (...args: unknown[]) => void>();
    const on = (name: string, listener: (...args: unknown[]) => void) => {
      listeners.set(name, listener);
    };
    const send = (data: unknown) => {
      steps.push(`send ${data}`);
      if (data === 'stopped') resolve();
    };
    const socket = { readyState: 1, on, once: on, send, close: resolve, terminate: resolve };
    listen(socket as never, { url: '/', headers: {} } as never);
    listeners.get('message')?.(Buffer.from(JSON.stringify(CALL)), false);
    setTimeout(resolve, ANSWER_LIMIT_MS).unref();
  });
  const expected = ['started', 'handover', 'stopped'];
  return steps.join() === expected.flatMap((said) => [`encode 7 ${said}`, `send ${said}`]).join();
}
