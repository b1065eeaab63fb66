import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Subject } from '../subjects/subject.js';

/** Robots of a subject at their WebSockets, each acknowledging what it gets. */
export interface RobotSockets {
  /** When each command arrived first, by its id. */
  arrivedAtMs: Map<string, number>;
  /** How many arrived more than once. */
  repeats(): number;
  close(): void;
}

export async function openRobotSockets({ port, token, robot_ids }: Subject): Promise<RobotSockets> {
  const arrivedAtMs = new Map<string, number>();
  let repeats = 0;
  const sockets = await Promise.all(
    robot_ids.map(async (robotId) => {
      const ws = new WebSocket(
        `ws://127.0.0.1:${port}/api/v1/robots/${robotId}/commands?token=${token}`,
      );
      ws.on('message', (data) => {
        const atMs = performance.now();
        const { id } = JSON.parse(data.toString());
        if (arrivedAtMs.has(id)) repeats++;
        else arrivedAtMs.set(id, atMs);
        for (const status of ['received', 'completed']) {
          ws.send(JSON.stringify({ command_id: id, status }));
        }
      });
      await once(ws, 'open');
      return ws;
    }),
  );
  return {
    arrivedAtMs,
    repeats: () => repeats,
    close() {
      for (const ws of sockets) ws.terminate();
    },
  };
}
