import { after, type Clock } from '../lib/clock.js';

/** Whether a robot's picture is wanted, as the robot is told. */
export interface ViewersNotice {
  /** From the first viewer's coming until a while after the last has gone. */
  watching: boolean;
  viewers: number;
}

/** Who watches which robot, counted. `key` stands for a robot of one account. */
export interface RobotViewers {
  now(key: string): ViewersNotice;
  /** Of all robots. */
  total(): number;
  /** One more watches. The function returned ends that, and may be called again. */
  enter(key: string): () => void;
  /** Told at once how it is now, and of every change of `watching`. Returns the function that ends it. */
  listen(key: string, listener: (notice: ViewersNotice) => void): () => void;
  close(): void;
}

/** A viewer that comes back, or whose page is loaded again, starts no camera anew. */
export const LINGER_MS = 30_000;

interface Audience {
  viewers: number;
  watching: boolean;
  listeners: Set<(notice: ViewersNotice) => void>;
  stopLingering: (() => void) | undefined;
}

export function createRobotViewers(clock: Clock): RobotViewers {
  const audiences = new Map<string, Audience>();

  function audienceOf(key: string): Audience {
    const known = audiences.get(key);
    if (known) return known;
    const audience: Audience = {
      viewers: 0,
      watching: false,
      listeners: new Set(),
      stopLingering: undefined,
    };
    audiences.set(key, audience);
    return audience;
  }

  function setWatching(audience: Audience, watching: boolean): void {
    if (audience.watching === watching) return;
    audience.watching = watching;
    for (const listener of [...audience.listeners]) listener(noticeOf(audience));
  }

  function forgetIfIdle(key: string, { watching, viewers, listeners }: Audience): void {
    if (!watching && viewers === 0 && listeners.size === 0) audiences.delete(key);
  }

  return {
    now: (key) => noticeOf(audiences.get(key)),
    total: () => [...audiences.values()].reduce((sum, { viewers }) => sum + viewers, 0),
    enter(key) {
      const audience = audienceOf(key);
      audience.viewers += 1;
      audience.stopLingering?.();
      audience.stopLingering = undefined;
      setWatching(audience, true);
      let gone = false;
      return () => {
        if (gone) return;
        gone = true;
        audience.viewers -= 1;
        if (audience.viewers > 0) return;
        audience.stopLingering = after(clock, LINGER_MS, () => {
          audience.stopLingering = undefined;
          setWatching(audience, false);
          forgetIfIdle(key, audience);
        });
      };
    },
    listen(key, listener) {
      const audience = audienceOf(key);
      audience.listeners.add(listener);
      listener(noticeOf(audience));
      return () => {
        audience.listeners.delete(listener);
        forgetIfIdle(key, audience);
      };
    },
    close() {
      for (const { stopLingering } of audiences.values()) stopLingering?.();
    },
  };
}

function noticeOf(audience: Pick<Audience, 'viewers' | 'watching'> | undefined): ViewersNotice {
  return { watching: audience?.watching ?? false, viewers: audience?.viewers ?? 0 };
}
