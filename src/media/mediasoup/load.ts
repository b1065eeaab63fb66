import type { types } from 'mediasoup';

/** What one worker has to do: how many routers, transports, producers and consumers are open in it. */
export function watchLoad(worker: types.Worker): () => number {
  let load = 0;
  const count = (thing: { observer: { once(event: 'close', listener: () => void): unknown } }) => {
    load += 1;
    thing.observer.once('close', () => {
      load -= 1;
    });
  };
  worker.observer.on('newrouter', (router) => {
    count(router);
    router.observer.on('newtransport', (transport) => {
      count(transport);
      transport.observer.on('newproducer', count);
      transport.observer.on('newconsumer', count);
    });
  });
  return () => load;
}
