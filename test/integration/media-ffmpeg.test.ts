import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import type { PlainTarget } from '../../src/media/provider.js';
import {
  describeWithWorker,
  hasFfmpeg,
  memberSpec,
  startMedia,
  watchEngine,
} from '../support/media.js';
import { until } from '../support/until.js';

const why = hasFfmpeg ? '' : ' (skipped: ffmpeg is not installed)';

const CAMERA = ['-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=15'];
const MICROPHONE = ['-f', 'lavfi', '-i', 'sine=frequency=440'];
const ENCODINGS = {
  VP8: ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '15'],
  H264: [
    ...['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'ultrafast'],
    ...['-tune', 'zerolatency', '-g', '15', '-pix_fmt', 'yuv420p'],
  ],
  opus: ['-c:a', 'libopus', '-b:a', '32k'],
};

/** As a robot's start script would have it. */
function publish(codec: keyof typeof ENCODINGS, target: PlainTarget): ChildProcess {
  const { address, rtpPort, rtcpPort, payloadType, ssrc } = target;
  const child = spawn(
    'ffmpeg',
    [
      ...['-loglevel', 'error', '-re', ...(codec === 'opus' ? MICROPHONE : CAMERA)],
      ...ENCODINGS[codec],
      // ffmpeg reads the number as a signed one.
      ...['-payload_type', String(payloadType), '-ssrc', String(ssrc | 0)],
      ...['-f', 'rtp', `rtp://${address}:${rtpPort}?rtcpport=${rtcpPort}`],
    ],
    { stdio: 'ignore' },
  );
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

describeWithWorker('ffmpeg as a robot', () => {
  it.runIf(hasFfmpeg).each(['VP8', 'H264', 'opus'] as const)(
    `sends %s into a room${why}`,
    async (codec) => {
      const engine = await watchEngine();
      const media = startMedia({ plainRtpPorts: { min: 40_500, max: 40_599 } });
      const room = await media.openRoom('robot', { maxMembers: 2 });
      const robot = await room.join(memberSpec('robot'));
      const kind = codec === 'opus' ? 'audio' : 'video';
      const target = await robot.ingest!.open({ kind, codec, from: '127.0.0.1' });
      publish(codec, target);
      await until('the track', () => room.tracks().length === 1);
      expect(room.tracks()).toEqual([target.track]);

      const [producer] = engine.producers;
      const stats = await until('packets that count', async () => {
        const [stat] = await producer!.getStats();
        return stat !== undefined && stat.packetCount >= 30 && stat;
      });
      expect(stats).toMatchObject({ ssrc: target.ssrc, kind, packetsLost: 0 });
      expect(stats.mimeType.toLowerCase()).toBe(`${kind}/${codec}`.toLowerCase());
      expect(stats.bitrate).toBeGreaterThan(5_000);

      const transport = await engine.routers[0]!.createDirectTransport();
      const consumer = await transport.consume({
        producerId: target.track.trackId,
        rtpCapabilities: robot.native!.rtpCapabilities,
      });
      let packets = 0;
      consumer.on('rtp', () => {
        packets += 1;
      });
      await until('what a viewer gets', () => packets >= 20);
      expect(consumer.score).toMatchObject({ producerScore: 10 });
    },
  );
});
