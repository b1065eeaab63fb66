import { expect, it } from 'vitest';
import { createStoppedClock } from '../support/identity.js';
import {
  describeWithWorker,
  listenTo,
  memberSpec,
  openRtpSender,
  startMedia,
  watchEngine,
} from '../support/media.js';
import { until } from '../support/until.js';

const ROOM = { maxMembers: 3 };

describeWithWorker('video rooms', () => {
  it('are opened once, however many ask at once', async () => {
    const { routers } = await watchEngine();
    const media = startMedia();
    const [a, b] = await Promise.all([media.openRoom('a', ROOM), media.openRoom('a', ROOM)]);
    expect(b).toBe(a);
    expect(await media.openRoom('a', ROOM)).toBe(a);
    expect(media.room('a')).toBe(a);
    expect(media.room('b')).toBeUndefined();
    expect(routers).toHaveLength(1);
  });

  it('are limited in number, and take members up to the smaller limit', async () => {
    const media = startMedia({ maxRooms: 2, maxMembers: 2, maxMembersPerAccount: 3 });
    const openings = await Promise.allSettled(
      ['a', 'b', 'c'].map((id) => media.openRoom(id, ROOM)),
    );
    expect(openings.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await expect(media.openRoom('c', ROOM)).rejects.toMatchObject({
      reason: 'too_many',
      details: { limit: 'media.max_rooms' },
    });
    const a = media.room('a')!;
    const b = media.room('b')!;

    await a.join(memberSpec('m'));
    await expect(a.join(memberSpec('m'))).rejects.toMatchObject({ reason: 'member_exists' });
    const second = await a.join(memberSpec('n'));
    await expect(a.join(memberSpec('o'))).rejects.toMatchObject({ reason: 'room_full' });

    await b.join(memberSpec('m'));
    await expect(b.join(memberSpec('n'))).rejects.toMatchObject({
      reason: 'too_many',
      details: { limit: 'media.max_members_per_account' },
    });
    await second.leave();
    await second.leave();
    await b.join(memberSpec('n'));
    expect(media.counts()).toMatchObject({ rooms: 2, members: 3 });

    await b.close('over');
    await media.openRoom('c', ROOM);
    expect(media.counts()).toMatchObject({ rooms: 2, members: 1 });
  });

  it('belong to one account', async () => {
    const room = await startMedia().openRoom('a', ROOM);
    await room.join(memberSpec('m'));
    await expect(room.join(memberSpec('n', { account: 'account-2' }))).rejects.toMatchObject({
      reason: 'not_permitted',
    });
  });

  it.each(['', 'x'.repeat(201)])('take no member with the id "%s"', async (id) => {
    const room = await startMedia().openRoom('a', ROOM);
    await expect(room.join(memberSpec(id))).rejects.toMatchObject({ reason: 'bad_media' });
  });

  it('tell who comes and goes, whatever a listener does, and nothing after their end', async () => {
    const media = startMedia();
    const room = await media.openRoom('a', ROOM);
    room.on('member', () => {
      throw new Error('a listener that fails');
    });
    const heard = listenTo(room);
    const stop = room.on('memberLeft', () => heard.push(['stopped', undefined]));
    stop();
    const m = await room.join(memberSpec('m', { name: 'Ada' }));
    await room.join(memberSpec('n'));
    await m.leave();
    expect(room.members().map(({ id }) => id)).toEqual(['n']);
    await room.close('over');
    await room.close('again');
    expect(heard).toEqual([
      ['member', { memberId: 'm', name: 'Ada' }],
      ['member', { memberId: 'n' }],
      ['memberLeft', { memberId: 'm' }],
      ['closed', { reason: 'over' }],
    ]);
    expect(room.members()).toEqual([]);
    await expect(room.join(memberSpec('o'))).rejects.toMatchObject({ reason: 'closed' });
  });

  it('close by themselves when nobody has been there for a minute', async () => {
    const clock = createStoppedClock();
    const media = startMedia({ clock });
    const room = await media.openRoom('a', ROOM);
    const heard = listenTo(room);
    clock.advance(59_000);
    const member = await room.join(memberSpec('m'));
    clock.advance(600_000);
    await member.leave();
    clock.advance(59_999);
    expect(media.room('a')).toBe(room);
    clock.advance(2_000);
    expect(media.room('a')).toBeUndefined();
    expect(heard.at(-1)).toEqual(['closed', { reason: 'empty' }]);
  });

  it('leave nothing behind in the worker', async () => {
    const { workers, routers } = await watchEngine();
    const media = startMedia({ plainRtpPorts: { min: 40_300, max: 40_399 } });
    async function useRoom(index: number) {
      const room = await media.openRoom(`room-${index}`, ROOM);
      const robot = await room.join(memberSpec('robot'));
      const viewer = await room.join(memberSpec('viewer'));
      const spec = { kind: 'video', codec: 'VP8', from: '127.0.0.1' } as const;
      const target = await robot.ingest!.open(spec);
      const { transportId } = await viewer.native!.createTransport('recv');
      if (index === 0) await watchOnce(target, transportId);
      if (index % 2 === 0) await robot.leave();
      await room.close('over');

      async function watchOnce({ ssrc, payloadType, rtpPort, track }: typeof target, id: string) {
        const sender = await openRtpSender({ ssrc, payloadType });
        await sender.send(rtpPort);
        await until('the track', () => room.tracks().length === 1);
        await viewer.native!.consume({
          transportId: id,
          trackId: track.trackId,
          rtpCapabilities: viewer.native!.rtpCapabilities,
        });
      }
    }
    const [worker] = await (async () => {
      await useRoom(0);
      return workers;
    })();
    const before = await worker!.dump();
    for (let index = 1; index <= 200; index += 1) await useRoom(index);
    const after = await worker!.dump();
    expect(routers).toHaveLength(201);
    expect(routers.every(({ closed }) => closed)).toBe(true);
    expect(after.routerIds).toEqual([]);
    expect(after.channelMessageHandlers).toEqual(before.channelMessageHandlers);
    expect(media.counts()).toMatchObject({ rooms: 0, members: 0, workerRestarts: 0 });
  });
});
