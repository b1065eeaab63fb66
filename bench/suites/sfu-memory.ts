import { join } from 'node:path';
import { Child, typescriptArgs } from '../lib/child.js';
import { residentBytes } from '../lib/proc-tree.js';
import type { Bench, SuiteResult } from '../lib/suite.js';

const MEMBERS_PER_ROOM = 5;
const ROOMS = 200;
const ROOMS_WHEN_QUICK = 40;

interface Memory {
  worker: number;
  node: number;
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
      const { node_bytes: node } = await child.ask<{ node_bytes: number }>({ stage });
      return { worker: residentBytes(worker_pid) ?? Number.NaN, node };
    };
    const idle = await at();
    const withRooms = await at('rooms');
    const withMembers = await at('members');
    const withSenders = await at('senders');
    const withConsumers = await at('consumers');
    bench.progress(`memory of ${rooms} rooms with ${members} members`);
    return {
      rows: [],
      verdicts: [],
      notes: [
        `memory of an idle worker: ${(idle.worker / 1e6).toFixed(1)} MB`,
        `memory of ${rooms} rooms with ${members} members in which nothing is sent, worker + Node process: ` +
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
