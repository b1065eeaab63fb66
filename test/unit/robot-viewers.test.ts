import { describe, expect, it } from 'vitest';
import {
  createRobotViewers,
  LINGER_MS,
  type ViewersNotice,
} from '../../src/services/robot-viewers.js';
import { createStoppedClock } from '../support/identity.js';

describe('the viewers of a robot', () => {
  function start() {
    const clock = createStoppedClock();
    const viewers = createRobotViewers(clock);
    const heard: ViewersNotice[] = [];
    const stop = viewers.listen('a', (notice) => heard.push(notice));
    return { clock, viewers, heard, stop };
  }

  it('are told of when the first comes, and 30 s after the last has gone', () => {
    const { clock, viewers, heard } = start();
    const leaveFirst = viewers.enter('a');
    const leaveSecond = viewers.enter('a');
    expect(viewers.now('a')).toEqual({ watching: true, viewers: 2 });
    leaveFirst();
    leaveFirst();
    expect(viewers.now('a')).toEqual({ watching: true, viewers: 1 });
    leaveSecond();
    clock.advance(LINGER_MS - 1);
    expect(heard).toEqual([
      { watching: false, viewers: 0 },
      { watching: true, viewers: 1 },
    ]);
    clock.advance(1);
    expect(heard.slice(2)).toEqual([{ watching: false, viewers: 0 }]);
    expect(viewers.now('a')).toEqual({ watching: false, viewers: 0 });
  });

  it('may come back before that, and the robot hears nothing', () => {
    const { clock, viewers, heard } = start();
    viewers.enter('a')();
    clock.advance(LINGER_MS - 1);
    const leave = viewers.enter('a');
    clock.advance(LINGER_MS * 2);
    expect(heard).toHaveLength(2);
    leave();
    clock.advance(LINGER_MS);
    expect(heard).toHaveLength(3);
  });

  it('are told of at once, to those who come later, and to nobody who has stopped', () => {
    const { clock, viewers, heard, stop } = start();
    viewers.enter('a');
    viewers.enter('b');
    const late: ViewersNotice[] = [];
    viewers.listen('a', (notice) => late.push(notice));
    expect(late).toEqual([{ watching: true, viewers: 1 }]);
    expect(viewers.total()).toBe(2);
    stop();
    viewers.enter('a')();
    clock.advance(LINGER_MS);
    expect(heard).toHaveLength(2);
  });
});
