import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { call } from '../support/app.js';
import { runProgram } from '../support/command.js';
import { testDatabases } from '../support/databases.js';
import { logIn, startServer } from '../support/server-process.js';

const EXAMPLES = resolve(import.meta.dirname, '../../examples');

function isThere(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

it.skipIf(!isThere('python3'))('examples in Python compile', async () => {
  const files = (await readdir(EXAMPLES, { recursive: true }))
    .filter((name) => name.endsWith('.py'))
    .map((name) => join(EXAMPLES, name));
  expect(files.length).toBeGreaterThanOrEqual(7);
  const compile = 'import sys\nfor f in sys.argv[1:]: compile(open(f).read(), f, "exec")';
  const run = await runProgram('python3', ['-c', compile, ...files]);
  expect(run).toEqual({ code: 0, out: '', err: '' });
});

/** A grid of 3 by 2 cells: its lower row is free, occupied, unknown. */
const MAP_SCRIPT = `
import json, math, os, sys
from types import SimpleNamespace as It
sys.path.insert(0, ${JSON.stringify(join(EXAMPLES, 'ros2'))})
sys.dont_write_bytecode = True
from fleetwire_bridge.api import Api, Refused
from fleetwire_bridge.convert import *

turn = math.pi / 2
z, w = quaternion_of(turn)
facing = It(x=0.0, y=0.0, z=z, w=w)
assert abs(yaw_of(facing) - turn) < 1e-9
assert yaw_of(It(x=0, y=0, z=0, w=0)) is None
assert battery_level(It(percentage=0.5)) == 50 and battery_level(It(percentage=math.nan)) is None
assert [diagnostic_level(level) for level in (b"\\x00", b"\\x01", b"\\x02", b"\\x03", 1)] == ["info", "warn", "error", "error", "warn"]
place = position(It(x=1.0, y=math.inf, z=0.0), facing)
assert place["x"] == 1 and place["y"] is None and abs(place["yaw"] - turn) < 1e-9

origin = It(position=It(x=-1.5, y=2.0), orientation=facing)
info = It(width=3, height=2, resolution=0.05000000074505806, origin=origin)
pgm, yaml = map_files(It(info=info, data=[0, 100, -1, 50, 66, 25]))
assert pgm == b"P5\\n3 2\\n255\\n" + bytes([205, 0, 254, 254, 0, 205]), pgm
api = Api(os.environ["URL"], os.environ["TOKEN"], "ros-robot-001")
map_id = api.upload_map(pgm, yaml)
api.call("POST", api.robot + "/map", {"map_id": map_id})
try:
    api.upload_map(b"P5 nonsense", yaml)
except Refused as refusal:
    assert refusal.status == 400 and not refusal.temporary, refusal
else:
    raise AssertionError("nonsense was taken")
print(json.dumps(map_id))
`;

it.skipIf(!isThere('python3'))('a map of ROS 2 reaches the server as it is', async () => {
  const database = await testDatabases[0]!.create();
  onTestFinished(database.dispose);
  const { url } = await startServer(database);
  const token = await logIn(url);
  const api = async (method: string, path: string, body?: unknown) =>
    (await call(`${url}/api/v1${path}`, method, body, token)).json.data;
  await api('POST', '/robots', { robot_id: 'ros-robot-001', robot_type: 'turtlebot' });
  const { key } = await api('POST', '/keys', { name: 'ros', robot_id: 'ros-robot-001' });
  const run = await runProgram('python3', ['-c', MAP_SCRIPT], { env: { URL: url, TOKEN: key } });
  expect(run).toMatchObject({ code: 0, err: '' });
  const map = await api('GET', `/map/${JSON.parse(run.out)}`);
  expect(map).toMatchObject({
    ...{ name: 'map', robot_id: 'ros-robot-001', resolution: 0.05, width: 3, height: 2 },
    ...{ negate: false, occupied_thresh: 0.65, free_thresh: 0.25 },
    origin: [-1.5, 2, 1.570796],
  });
});

const FLEET_PROGRAM = `
#include <cassert>
#include "fleet.h"
int main() {
  fleet::Backoff backoff(1000, 5000);
  const uint32_t longest[] = {1000, 2000, 4000, 5000, 5000};
  for (uint32_t ms : longest) {
    fleet::Backoff again = backoff;
    assert(backoff.failed(0) == ms / 2);
    assert(again.failed(ms / 2) == ms);
  }
  for (int n = 0; n < 1000; n += 1) assert(backoff.failed(n * 2654435761u) <= 5000);
  backoff.succeeded();
  assert(backoff.failed(0) == 500);
  fleet::SeenCommands seen;
  assert(seen.isNew("a") && !seen.isNew("a"));
  for (char c = 'b'; c < 'b' + 16; c += 1) assert(seen.isNew(std::string(1, c)));
  assert(seen.isNew("a"));
  assert(fleet::percentEncoded("a-b_c.d~1") == "a-b_c.d~1");
  assert(fleet::percentEncoded("\\xc3\\xbc 1%") == "%C3%BC%201%25");
}
`;

it.skipIf(!isThere('g++'))("the plain C++ of the ESP32's sketch does what it says", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleetwire-esp32-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [source, program] = [join(folder, 'fleet.cpp'), join(folder, 'fleet')];
  await writeFile(source, FLEET_PROGRAM);
  const flags = ['-std=c++11', '-Wall', '-Wextra', '-Werror', '-I', join(EXAMPLES, 'esp32')];
  const compiled = await runProgram('g++', [...flags, source, '-o', program]);
  expect(compiled).toEqual({ code: 0, out: '', err: '' });
  expect(await runProgram(program, [])).toEqual({ code: 0, out: '', err: '' });
});
