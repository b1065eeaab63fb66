import type { Consumer, WebRtcTransport } from 'mediasoup/types';
import { MediaError, type NativeLink, type TrackInfo } from '../provider.js';
import { engineError } from './engine-error.js';
import type { MemberContext } from './member.js';
import type { Track } from './tracks.js';
import { openWebRtcTransport } from './web-rtc.js';

/** A connection each way, and leave to open new ones before the old ones are gone. */
export const TRANSPORTS_PER_MEMBER = 4;

interface Connection {
  transport: WebRtcTransport;
  direction: 'send' | 'recv';
}

/** What mediasoup-client asks of the server, for one member. */
export function createNativeLink(context: MemberContext): NativeLink {
  const { owner, tracks, relays, engine } = context;
  const connections = new Map<string, Connection>();
  const consumers = new Map<string, Consumer>();
  const requests = new Map<string, Promise<TrackInfo>>();
  let opening = 0;

  function connection(transportId: string, direction?: Connection['direction']): WebRtcTransport {
    const found = connections.get(transportId);
    if (!found) {
      throw new MediaError('unknown_transport', `You have no transport ${transportId}`);
    }
    if (direction && found.direction !== direction) {
      throw new MediaError(
        'wrong_state',
        `The transport ${transportId} is not made to ${direction}`,
      );
    }
    return found.transport;
  }

  function consumer(consumerId: string): Consumer {
    const found = consumers.get(consumerId);
    if (!found) throw new MediaError('unknown_track', `You have no consumer ${consumerId}`);
    return found;
  }

  function ownTrack(trackId: string): Track {
    const track = tracks.get(trackId);
    if (track?.owner === owner) return track;
    throw new MediaError('unknown_track', `You send no track ${trackId}`);
  }

  const produce: NativeLink['produce'] = async (spec) => {
    const { transportId, kind, rtpParameters, label, paused = false } = spec;
    const publication = { kind, rtpParameters, label, paused };
    const transport = connection(transportId, 'send');
    return (await tracks.publish(owner, relays.main, transport, publication)).info();
  };

  return {
    get rtpCapabilities() {
      return relays.main.router.rtpCapabilities;
    },
    async createTransport(direction) {
      context.requireOpen();
      if (connections.size + opening >= TRANSPORTS_PER_MEMBER) {
        throw new MediaError(
          'too_many',
          `A member may have ${TRANSPORTS_PER_MEMBER} transports at once`,
          { limit: 'transports' },
        );
      }
      opening += 1;
      try {
        const transport = await openWebRtcTransport(engine, relays.main, context.limits());
        context.keep(transport);
        connections.set(transport.id, { transport, direction });
        transport.observer.once('close', () => connections.delete(transport.id));
        // The client has closed its end, or it is somebody else's.
        transport.on('dtlsstatechange', (state) => {
          if (state === 'closed' || state === 'failed') transport.close();
        });
        const { id, iceParameters, iceCandidates, dtlsParameters } = transport;
        return { transportId: id, iceParameters, iceCandidates, dtlsParameters };
      } finally {
        opening -= 1;
      }
    },
    async connect(transportId, dtlsParameters) {
      await connection(transportId).connect({ dtlsParameters }).catch(refuse);
    },
    async restartIce(transportId) {
      return connection(transportId).restartIce().catch(refuse);
    },
    async produce(spec) {
      const { requestId } = spec;
      if (requestId === undefined) return produce(spec);
      const known = requests.get(requestId);
      if (known) return known;
      const made = produce(spec);
      requests.set(requestId, made);
      const forget = () => requests.delete(requestId);
      made.then(({ trackId }) => {
        const track = tracks.get(trackId);
        if (track) track.producer.observer.once('close', forget);
        else forget();
      }, forget);
      return made;
    },
    async closeTrack(trackId) {
      ownTrack(trackId).producer.close();
    },
    async pauseTrack(trackId) {
      await tracks.hold(ownTrack(trackId), true);
    },
    async resumeTrack(trackId) {
      await tracks.hold(ownTrack(trackId), false);
    },
    async consume({ transportId, trackId, rtpCapabilities }) {
      const transport = connection(transportId, 'recv');
      const subscription = { trackId, rtpCapabilities };
      const made = await tracks.subscribe(owner, relays.main, transport, subscription);
      const { id, rtpParameters } = made.consumer;
      consumers.set(id, made.consumer);
      made.consumer.observer.once('close', () => consumers.delete(id));
      return { consumerId: id, track: made.track.info(), rtpParameters };
    },
    async resume(consumerId) {
      await consumer(consumerId).resume().catch(refuse);
    },
    async pause(consumerId) {
      await consumer(consumerId).pause().catch(refuse);
    },
    async setPreferredLayers(consumerId, preferred) {
      await consumer(consumerId)
        .setPreferredLayers({
          ...preferred,
          spatialLayer: Math.min(preferred.spatialLayer, owner.maxLayer),
        })
        .catch(refuse);
    },
    async closeConsumer(consumerId) {
      consumer(consumerId).close();
    },
  };
}

function refuse(error: unknown): never {
  throw engineError(error);
}
