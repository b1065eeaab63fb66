import type { MediaRoom, NativeLink } from '../../src/media/provider.js';
import { memberSpec, openEngine } from './media-engine.js';

// Rooms, then members in them, then what they get of each other. No packet flows, so what is seen is what they cost by
// being there. Run with --expose-gc.
const [roomCount, membersPerRoom] = process.argv.slice(2).map(Number) as [number, number];
const { media, worker } = openEngine();
const rooms: MediaRoom[] = [];
const watchers: { room: MediaRoom; native: NativeLink; transportId: string }[] = [];
let nextSsrc = 1;

const stages = {
  async rooms(): Promise<void> {
    for (let index = 0; index < roomCount; index++) {
      rooms.push(await media.openRoom(`room-${index}`, { maxMembers: membersPerRoom + 1 }));
    }
  },
  /** Each with one transport, as a browser has. */
  async members(): Promise<void> {
    for (const room of rooms) {
      for (let index = 0; index < membersPerRoom; index++) {
        const native = (await room.join(memberSpec(`watcher-${index}`))).native!;
        const { transportId } = await native.createTransport('recv');
        watchers.push({ room, native, transportId });
      }
    }
  },
  /** One more in each room, with audio and video. */
  async senders(): Promise<void> {
    for (const room of rooms) await addSender(room);
  },
  /** Everybody gets the audio and the video of their room. */
  async consumers(): Promise<void> {
    for (const { room, native, transportId } of watchers) {
      for (const { trackId } of room.tracks()) {
        const { rtpCapabilities } = native;
        const { consumerId } = await native.consume({ transportId, trackId, rtpCapabilities });
        await native.resume(consumerId);
      }
    }
  },
};

async function addSender(room: MediaRoom): Promise<void> {
  const native = (await room.join(memberSpec('sender'))).native!;
  const { transportId } = await native.createTransport('send');
  for (const kind of ['audio', 'video'] as const) {
    const codec =
      kind === 'audio'
        ? { mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2 }
        : { mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 };
    const encodings = [{ ssrc: nextSsrc++ }];
    const rtpParameters = { mid: kind, codecs: [codec], encodings };
    await native.produce({ transportId, kind, rtpParameters });
  }
}

process.on('message', async ({ stage }: { stage?: keyof typeof stages }) => {
  if (stage !== undefined) await stages[stage]();
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.send?.({ used_bytes: heapUsed + external, resident_bytes: rss });
});
process.on('disconnect', () => process.exit());

// What the first room brings in is no cost of a room.
const first = await media.openRoom('first', { maxMembers: 2 });
await addSender(first);
await first.close('bench');
process.send?.({ worker_pid: (await worker).pid });
