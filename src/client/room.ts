import type { MediaEvent, Participant } from '../contract/media.js';
import { reasonOf } from './errors.js';
import type { FleetClient, RouterOutputs } from './index.js';
import { type Connection, openConnection } from './room-connection.js';
import { createPublications } from './room-publications.js';
import { createRemoteTracks } from './room-tracks.js';
import type { JoinRoomOptions, Room, RoomEvents } from './room-types.js';
import { backOffMs } from './urls.js';

type Listeners = { [E in keyof RoomEvents]: Set<(value: RoomEvents[E]) => void> };

/** What cannot change by trying again. */
const FINAL: readonly unknown[] = ['unauthenticated', 'forbidden', 'not_found', 'invalid_input'];

/** How long a session lives that nobody listens to. */
const PATIENCE_MS = 15_000;

/**
 * Enters a room, or that of a robot, in a browser: everything others send is received and told by `track`. What ends the
 * connection (the network, the server, its media worker) is waited for and mended, with `lost` and `rejoined`.
 * @throws FleetClientError when the room is not there, is full, or is not for this client; Error when this browser cannot
 *   do it, or has no WebSocket to the server.
 */
export async function joinRoom(
  { media }: Pick<FleetClient, 'media'>,
  options: JoinRoomOptions,
): Promise<Room> {
  const listeners: Listeners = {
    track: new Set(),
    trackEnded: new Set(),
    trackPaused: new Set(),
    participants: new Set(),
    speakers: new Set(),
    lost: new Set(),
    rejoined: new Set(),
    error: new Set(),
    ended: new Set(),
  };
  const onlySends = 'robotId' in options && options.publish === true;
  const onError = (error: unknown) => emit('error', error);
  const publications = createPublications(onError);
  const tracks = createRemoteTracks({ participantOf, emit, onError });
  let sessionId: string | undefined;
  let userId = '';
  let participants: readonly Participant[] = [];
  let connection: Connection | undefined;
  let stopListening = () => {};
  /** Of audio and video: grows when they are lost. */
  let epoch = 0;
  /** Something is at work that sees to it that there is a connection. */
  let isConnecting = false;
  let isOver = false;
  let startHearing = () => {};
  const isHearing = new Promise<void>((resolve) => {
    startHearing = resolve;
  });

  function emit<E extends keyof RoomEvents>(event: E, value: RoomEvents[E]): void {
    for (const listener of [...listeners[event]]) {
      try {
        listener(value);
      } catch (error) {
        // Reported as one of any event would be; nothing here depends on it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  function participantOf(user_id: string): Participant {
    return participants.find((one) => one.user_id === user_id) ?? { user_id, name: null };
  }

  function wish() {
    const { name } = options;
    const named = name === undefined ? {} : { name };
    if ('robotId' in options) {
      return { ...named, robot_id: options.robotId, publish: options.publish ?? false };
    }
    // Who comes back wants to be who they were.
    const user_id = userId || options.userId;
    return { ...named, room_id: options.roomId, ...(user_id !== undefined && { user_id }) };
  }

  /** Joins, or begins anew in the session there is. @returns false when all was lost again on the way. */
  async function begin(): Promise<boolean> {
    const mine = epoch;
    let id = sessionId;
    let entered: RouterOutputs['media']['enter'];
    if (id === undefined) {
      const joined = await media.join.mutate(wish());
      id = joined.session_id;
      entered = joined;
      sessionId = id;
      listen(id);
    } else entered = await media.enter.mutate({ session_id: id });
    userId = entered.user_id;
    const opened = await openConnection({
      ...{ media, sessionId: id, rtpCapabilities: entered.rtp_capabilities },
      onBroken() {
        if (connection === opened) void restart();
      },
    });
    if (mine !== epoch || isOver) {
      opened.close();
      return isOver;
    }
    connection = opened;
    tracks.connect(opened);
    publications.connect(opened);
    return true;
  }

  function listen(id: string): void {
    const isCurrent = () => sessionId === id && !isOver;
    stopListening();
    const subscription = media.events.subscribe(
      { session_id: id },
      {
        onData: ({ data }) => {
          if (isCurrent()) hear(data);
        },
        // The session is over, whether or not its last event has reached us.
        onError: () => {
          if (isCurrent()) void restart();
        },
        onComplete: () => {
          if (isCurrent()) void restart();
        },
      },
    );
    stopListening = () => subscription.unsubscribe();
  }

  function hear(event: MediaEvent): void {
    switch (event.type) {
      case 'state':
        startHearing();
        meet(event.participants);
        emit('speakers', event.speakers);
        if (!onlySends) tracks.set(event.tracks.filter(({ user_id }) => user_id !== userId));
        break;
      case 'participants':
        meet(event.participants);
        break;
      case 'track':
      case 'track_paused':
        if (!onlySends && event.track.user_id !== userId) tracks.put(event.track);
        break;
      case 'track_ended':
        tracks.remove(event.track.track_id);
        break;
      case 'speakers':
        emit('speakers', event.speakers);
        break;
      case 'media_lost':
        void recover();
        break;
      case 'ended':
        if (event.reason === 'replaced' || event.reason === 'expired') finish(event.reason);
        else void restart();
    }
  }

  function meet(now: readonly Participant[]): void {
    participants = now;
    emit('participants', now);
  }

  function disconnect(): void {
    connection?.close();
    connection = undefined;
    publications.connect(undefined);
    tracks.connect(undefined);
  }

  /** Where it is not known any more, that is all the same. */
  async function leaveSession(): Promise<void> {
    const session_id = sessionId;
    sessionId = undefined;
    if (session_id !== undefined) await media.leave.mutate({ session_id }).catch(() => {});
  }

  /** In a new session, for the one there was is over or cannot be mended. */
  async function restart(): Promise<void> {
    stopListening();
    await leaveSession();
    await recover();
  }

  async function recover(): Promise<void> {
    epoch += 1;
    disconnect();
    if (isConnecting || isOver) return;
    isConnecting = true;
    emit('lost', undefined);
    for (let attempt = 0; !(await tryAgain()); attempt += 1) {
      await new Promise((resolve) => setTimeout(resolve, backOffMs(attempt)));
    }
    isConnecting = false;
    if (!isOver) emit('rejoined', undefined);
  }

  /** @returns whether there is no more to try. */
  async function tryAgain(): Promise<boolean> {
    if (isOver) return true;
    try {
      return await begin();
    } catch (error) {
      if (!FINAL.includes(reasonOf(error))) return false;
      // Either the session is over, or nobody may come back here.
      if (sessionId === undefined) finish('expired');
      sessionId = undefined;
      return isOver;
    }
  }

  function finish(reason: RoomEvents['ended']['reason']): void {
    if (isOver) return;
    isOver = true;
    startHearing();
    stopListening();
    disconnect();
    emit('ended', { reason });
  }

  isConnecting = true;
  try {
    while (!(await begin()));
    isConnecting = false;
    await withinPatience(isHearing);
  } catch (error) {
    isOver = true;
    stopListening();
    disconnect();
    await leaveSession();
    throw error;
  }

  return {
    get userId() {
      return userId;
    },
    get participants() {
      return participants;
    },
    get tracks() {
      return tracks.list();
    },
    on(event, listener) {
      listeners[event].add(listener);
      return () => void listeners[event].delete(listener);
    },
    async publish(source, { simulcast = false, label } = {}) {
      const given = 'getTracks' in source ? source.getTracks() : [source];
      const sent = { simulcast, ...(label !== undefined && { label }) };
      return Promise.all(given.map((track) => publications.add(track, sent)));
    },
    async mute(kind) {
      await Promise.all(publications.of(kind).map((track) => track.mute()));
    },
    async unmute(kind) {
      await Promise.all(publications.of(kind).map((track) => track.unmute()));
    },
    setQuality: tracks.setQuality,
    async leave() {
      finish('left');
      await leaveSession();
    },
  };
}

/** @throws Error when the events of the room do not come, which its session does not outlive either. */
async function withinPatience(hearing: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<never>((_resolve, reject) => {
    const problem = 'The room says nothing: is there a WebSocket to the server?';
    timer = setTimeout(() => reject(new Error(problem)), PATIENCE_MS);
  });
  try {
    await Promise.race([hearing, patience]);
  } finally {
    clearTimeout(timer);
  }
}
