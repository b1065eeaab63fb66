import { join } from 'node:path';
import { Child, typescriptArgs } from '../lib/child.js';
import { residentBytes } from '../lib/proc-tree.js';
import type { Bench, SuiteResult } from '../lib/suite.js';

const MEMBERS_PER_ROOM = 5;
const ROOMS = 200;
const ROOMS_WHEN_QUICK = 40;

interface Memory {
  worker: number;
  /** In use after a collection: what is resident goes up by whole steps of the heap. */
  node: number;
  node_resident: number;
}

/** What rooms, members and what they get add to the worker and to the process of the server. */
export async function measureMemory(bench: Bench): Promise<SuiteResult> {
  const rooms = bench.args.quick ? ROOMS_WHEN_QUICK : ROOMS;
  const members = rooms * MEMBERS_PER_ROOM;
  const child = new Child({
    args: [
      '--expose-gc',
      ...typescriptArgs('servers/sfu-rooms.ts'),
      ...[String(rooms), String(MEMBERS_PER_ROOM)],
    ],
    cwd: bench.directory,
    outputPath: join(bench.directory, 'sfu-rooms.log'),
  });
  try {
    const { worker_pid } = await child.nextMessage<{ worker_pid: number }>();
    const at = async (stage?: string): Promise<Memory> => {
      const answer = await child.ask<{ used_bytes: number; resident_bytes: number }>({ stage });
      return {
        worker: residentBytes(worker_pid) ?? Number.NaN,
        node: answer.used_bytes,
        node_resident: answer.resident_bytes,
      };
    };
    const idle = await at();
    const withRooms = await at('rooms');
    const withMembers = await at('members');
    const withSenders = await at('senders');
    const withConsumers = await at('consumers');
    const megabytes = (of: keyof Memory) =>
      `${(idle[of] / 1e6).toFixed(1)} and ${(withConsumers[of] / 1e6).toFixed(1)} MB`;
    bench.progress(`memory of ${rooms} rooms with ${members} members`);
    return {
      rows: [],
      verdicts: [],
      notes: [
        `resident memory, idle and with all of the following: worker ${megabytes('worker')}, ` +
          `Node process with the rooms alone ${megabytes('node_resident')}`,
        `${rooms} rooms with ${members} members in which nothing is sent take, in worker + Node process: ` +
          [
            `a room ${each(idle, withRooms, rooms)}`,
            `a member with its transport ${each(withRooms, withMembers, members)}`,
            `one that sends audio and video too ${each(withMembers, withSenders, rooms)}`,
            `getting audio and video of one other ${each(withSenders, withConsumers, members)}`,
          ].join('; '),
      ],
    };
  } finally {
    await child.kill();
  }
}

function each(before: Memory, after: Memory, count: number): string {
  const kilobytes = (of: keyof Memory) => ((after[of] - before[of]) / count / 1000).toFixed(0);
  return `${kilobytes('worker')} + ${kilobytes('node')} kB`;
}
