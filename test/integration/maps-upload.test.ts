import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { MAP_YAML, mapFixture, mapForm, randomPgm, upload } from '../support/maps.js';
import { expectFailure } from '../support/rest.js';
import { until } from '../support/until.js';

const PATH = '/api/v1/map/upload';
const BOUNDARY = 'b7f3a1c9e5d24b6f8a0c';
const MULTIPART = `multipart/form-data; boundary=${BOUNDARY}`;
const MEGABYTE = Buffer.alloc(1_000_000);
const PGM = mapFixture('binary.pgm');

/** A part as a client writes it that knows nothing of content types. */
function part(head: string, content: string | Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
    Buffer.from(content as string),
    Buffer.from('\r\n'),
  ]);
}
const END = Buffer.from(`--${BOUNDARY}--\r\n`);
const YAML_PART = part('name="yaml"; filename="map.yaml"', MAP_YAML);
const PGM_PART = part('name="pgm"; filename="office.pgm"', PGM);
const body = (...parts: Buffer[]) => Buffer.concat([...parts, END]);

async function post(app: TestApp, content: Buffer | string, type = MULTIPART, token?: string) {
  const response = await fetch(app.url + PATH, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token ?? app.admin.token}`,
      ...(type !== '' && { 'content-type': type }),
    },
    body: content,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) };
}

const countOf = async (app: TestApp) => (await app.call('GET', '/api/v1/maps')).json.data.count;

describeEachDatabase('an upload', (kind) => {
  const app = useApp(kind);
  beforeAll(async () => {
    await app().call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
  });

  it.each([
    [
      'as Python writes it: fields, then files',
      [part('name="robot_id"', 'r1'), YAML_PART, PGM_PART],
    ],
    [
      'files the other way round, the field last',
      [PGM_PART, YAML_PART, part('name="robot_id"', 'r1')],
    ],
    ['the field as a file', [YAML_PART, part('name="robot_id"; filename="blob"', 'r1'), PGM_PART]],
    [
      'content types of every kind',
      [
        part('name="yaml"; filename="m"\r\nContent-Type: application/json', MAP_YAML),
        part('name="pgm"; filename="office.pgm"\r\nContent-Type: text/html; charset=x', PGM),
        part('name="robot_id"\r\nContent-Type: text/plain', 'r1'),
      ],
    ],
    [
      'parts that mean nothing here',
      [part('name="x"', 'y'), YAML_PART, part('name="z"; filename="z"', PGM), PGM_PART].concat(
        part('name="robot_id"', 'r1'),
      ),
    ],
  ])('is taken: %s', async (_name, parts) => {
    const answer = await post(app(), body(...parts));
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
    const map = await app().call('GET', `/api/v1/map/${answer.json.data.map_id}`);
    expect(map.json.data).toMatchObject({ robot_id: 'r1', name: 'office', width: 4, height: 3 });
  });

  it('takes an empty robot_id as none, and a YAML that begins with a byte order mark', async () => {
    const yaml = part('name="yaml"; filename="m"', `\ufeff${MAP_YAML}`);
    const answer = await post(app(), body(part('name="robot_id"', ''), yaml, PGM_PART));
    const map = await app().call('GET', `/api/v1/map/${answer.json.data.map_id}`);
    expect(map.json.data.robot_id).toBeNull();
  });

  it.each([
    ['nothing', body(), 'yaml file is required'],
    ['no YAML', body(PGM_PART), 'yaml file is required'],
    ['no image', body(YAML_PART), 'pgm file is required'],
    [
      'YAML as a field',
      body(part('name="yaml"', MAP_YAML.slice(0, 99)), PGM_PART),
      'yaml file is required',
    ],
    [
      'an empty image',
      body(YAML_PART, part('name="pgm"; filename=""', '')),
      'pgm file is required',
    ],
    [
      'an empty YAML',
      body(PGM_PART, part('name="yaml"; filename="m"', '')),
      'yaml file is required',
    ],
    ['one part twice', body(YAML_PART, PGM_PART, PGM_PART), 'pgm: is there twice'],
    [
      'an id that no robot can have',
      body(part('name="robot_id"', 'a/b'), YAML_PART, PGM_PART),
      'robot_id: must not hold control characters or a slash',
    ],
  ])('is refused with %s', async (_name, content, sentence) => {
    const before = await countOf(app());
    expectFailure(await post(app(), content), 400, sentence);
    expect(await countOf(app())).toBe(before);
  });

  it.each([
    ['{"yaml":"x"}', 'application/json'],
    ['a=b', 'application/x-www-form-urlencoded'],
    ['', 'text/plain'],
    [PGM, 'image/x-portable-graymap'],
    [PGM, ''],
  ])('is refused when it is no multipart: %#', async (content, type) => {
    expectFailure(await post(app(), content, type), 400, 'yaml file is required');
  });

  it.each([
    ['no boundary', body(YAML_PART, PGM_PART), 'multipart/form-data'],
    ['another boundary', body(YAML_PART, PGM_PART), 'multipart/form-data; boundary=other'],
    ['no end', Buffer.concat([YAML_PART, PGM_PART]), MULTIPART],
    ['an end within a part', body(YAML_PART, PGM_PART).subarray(0, 300), MULTIPART],
    ['a head without an end', Buffer.from(`--${BOUNDARY}\r\nContent-Disposition`), MULTIPART],
    [
      'too many parts',
      body(...Array(30).fill(part('name="x"', 'y')), YAML_PART, PGM_PART),
      MULTIPART,
    ],
    [
      'a name of the prototype',
      body(part('name="__proto__"', '{}'), YAML_PART, PGM_PART),
      MULTIPART,
    ],
  ])('is refused when it is broken: %s', async (_name, content, type) => {
    const answer = await post(app(), content, type);
    expectFailure(answer, 400, /^The body is no whole multipart\/form-data: /);
  });

  it('names every defect of YAML and image at once', async () => {
    const yaml = 'image: a.pgm\nresolution: 0\norigin: [1, 2]\nnegate: 0\nfree_thresh: 2\n';
    const answer = await upload(app(), mapForm({ yaml, pgm: Buffer.from('P5 9 9 255\n123') }));
    expectFailure(answer, 400, 'Invalid YAML format');
    expect(answer.json.issues).toEqual([
      { path: 'yaml.resolution', message: 'must be above 0' },
      { path: 'yaml.origin', message: 'must be three numbers, [x, y, yaw]' },
      { path: 'yaml.occupied_thresh', message: 'is missing' },
      { path: 'yaml.free_thresh', message: 'must be from 0 to 1' },
      { path: 'pgm', message: 'is cut off: 9 x 9 pixels need 81 bytes, found 3 bytes' },
    ]);
    const image = await upload(app(), mapForm({ pgm: Buffer.from('GIF89a') }));
    expectFailure(image, 400, /^pgm must be a PGM image/);
    expect(image.json.issues).toHaveLength(1);
    const latin1 = await upload(app(), mapForm({ yaml: Buffer.from([0x61, 0x3a, 0xff]) }));
    expectFailure(latin1, 400, 'Invalid YAML format');
    for (const bad of ['[', 'just text', '['.repeat(50_000), 'a: &a [*a, *a]']) {
      expectFailure(await upload(app(), mapForm({ yaml: bad })), 400, 'Invalid YAML format');
    }
  });

  it('has limits for its small parts too', async () => {
    const yaml = await upload(app(), mapForm({ yaml: `${MAP_YAML}#${'x'.repeat(65_536)}` }));
    expectFailure(yaml, 413, 'yaml is too large: at most 65536 bytes');
    const robot = await post(app(), body(part('name="robot_id"', 'r'.repeat(2_000)), YAML_PART));
    expectFailure(robot, 413, 'robot_id is too large: at most 1024 bytes');
  });

  it('may be as large as an image of 10 million pixels nearly is', async () => {
    const pgm = randomPgm(3_200, 3_200);
    const answer = await upload(app(), mapForm({ pgm }));
    expect(answer.status).toBe(200);
    const image = await fetch(`${app().url}/api/v1/map/${answer.json.data.map_id}/image`, {
      headers: { authorization: `Bearer ${app().admin.token}` },
    });
    expect(Buffer.from(await image.arrayBuffer()).equals(pgm)).toBe(true);
  });

  it('is a matter of nobody without the scope, whose body is not read', async () => {
    const large = mapForm({ pgm: randomPgm(4_000, 4_000) });
    expectFailure(await upload(app(), large, 'unknown'), 401, 'Invalid certification key');
    const key = await app().call('POST', '/api/v1/keys', { name: 'k', scopes: ['maps:read'] });
    const answer = await upload(app(), mapForm(), key.json.data.key);
    expectFailure(answer, 403, 'This key lacks the scope maps:write');
  });

  it('is told under the other path of the API too', async () => {
    const response = await fetch(`${app().url}/compat/kairoio${PATH}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app().admin.token}` },
      body: mapForm(),
    });
    expect(response.status).toBe(200);
  });

  it('never fails on the part of the server, whatever it is sent', async () => {
    const piece = fc.oneof(
      fc.constantFrom(YAML_PART, PGM_PART, END, part('name="robot_id"', 'r1')),
      fc
        .constantFrom(
          ...['\r\n', '--', `--${BOUNDARY}`, `--${BOUNDARY}\r\n`, 'name="pgm"', '\r\n\r\n', '\0'],
          ...['Content-Disposition: form-data; name="yaml"; filename="x"', 'Content-Type: a/b'],
          ...['Content-Transfer-Encoding: base64', "name*=utf-8''pgm", 'P5 99 99 255\n'],
        )
        .map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    );
    const type = fc.constantFrom(MULTIPART, MULTIPART, 'multipart/form-data; boundary=', '', 'a/b');
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), type, async (pieces, contentType) => {
        const answer = await post(app(), Buffer.concat(pieces), contentType);
        expect(`${answer.status} ${answer.text}`).not.toMatch(/^5/);
        expect(answer.json.success).toBe(answer.status === 200);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the limit of an upload', () => {
  const LIMIT_BYTES = 100_000;
  const app = useApp(testDatabases[0]!, { config: { maps: { upload_limit: LIMIT_BYTES } } });

  /** A body of exactly this many bytes. */
  function bodyOf(bytes: number): Buffer {
    const rest = body(YAML_PART, part('name="pgm"; filename="office.pgm"', 'P5 1 1 255\n')).length;
    const image = Buffer.concat([Buffer.from('P5 1 1 255\n'), Buffer.alloc(bytes - rest, 7)]);
    return body(YAML_PART, part('name="pgm"; filename="office.pgm"', image));
  }

  /** One request over this agent's connections; a body in pieces has no length in its head. */
  async function send(agent: Agent, method: string, path: string, pieces: Buffer[]) {
    const isWhole = pieces.length <= 1;
    const client = request(app().url + path, {
      method,
      agent,
      headers: {
        authorization: `Bearer ${app().admin.token}`,
        ...(pieces.length > 0 && { 'content-type': MULTIPART }),
        ...(isWhole && { 'content-length': pieces[0]?.length ?? 0 }),
      },
    });
    for (const piece of pieces) client.write(piece);
    client.end();
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of answer) text += chunk;
    const { localPort } = client.socket as Socket;
    return {
      status: answer.statusCode,
      headers: answer.headers,
      json: JSON.parse(text),
      localPort,
    };
  }

  it('counts the whole body, to the byte', async () => {
    expect((await post(app(), bodyOf(LIMIT_BYTES))).status).toBe(200);
    const answer = await post(app(), bodyOf(LIMIT_BYTES + 1));
    const sentence = `The upload is too large: at most ${LIMIT_BYTES} bytes (maps.upload_limit)`;
    expectFailure(answer, 413, sentence);
    expect(answer.json.limit).toBe('maps.upload_limit');
  });

  it('counts what is before, between and behind the parts', async () => {
    const junk = Buffer.alloc(LIMIT_BYTES, 'x');
    for (const content of [
      Buffer.concat([junk, Buffer.from('\r\n'), body(YAML_PART, PGM_PART)]),
      Buffer.concat([body(YAML_PART, PGM_PART), junk]),
      body(part('name="x"; filename="x"', junk), YAML_PART, PGM_PART),
    ]) {
      expectFailure(await post(app(), content), 413, /^The upload is too large/);
    }
  });

  it.each([
    ['with its length', [bodyOf(3_000_000)]],
    ['in pieces', Array.from({ length: 30 }, () => bodyOf(100_000))],
  ])('leaves the connection to the next request: %s', async (_name, pieces) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const refused = await send(agent, 'POST', PATH, pieces);
    expect([refused.status, refused.json.limit]).toEqual([413, 'maps.upload_limit']);
    const next = await send(agent, 'GET', '/api/v1/maps', []);
    expect(next.status).toBe(200);
    expect(next.localPort).toBe(refused.localPort);
    const small = await send(agent, 'POST', PATH, [body(YAML_PART, PGM_PART)]);
    expect([small.status, small.localPort]).toEqual([200, refused.localPort]);
  });

  it('has an end to its patience with what it will not keep', async () => {
    const socket = openUpload();
    const answer = textOf(socket);
    let sent = 0;
    while (!answer.text.includes('\r\n\r\n') && !socket.destroyed && sent < 1_000) {
      await write(socket, answer);
      sent += 1;
    }
    await answer.closed;
    expect(answer.text).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer.text).toMatch(/\r\nconnection: close\r\n/i);
    expect(sent).toBeLessThan(200);
  });

  it('answers one who reads only when all is sent', async () => {
    const socket = openUpload();
    const answer = textOf(socket);
    socket.pause();
    for (let sent = 0; sent < 75 && !socket.destroyed; sent += 1) await write(socket, answer);
    socket.resume();
    await answer.closed;
    expect(answer.text).toMatch(/^HTTP\/1\.1 413 /);
  });

  /** Has announced more than anybody takes. */
  function openUpload(): Socket {
    const socket = open();
    const head = [
      `POST ${PATH} HTTP/1.1`,
      'host: x',
      `authorization: Bearer ${app().admin.token}`,
      `content-type: ${MULTIPART}`,
      'content-length: 1000000000000',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    return socket;
  }

  async function write(socket: Socket, answer: { closed: Promise<unknown> }): Promise<void> {
    if (socket.write(MEGABYTE)) return;
    await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), answer.closed]);
  }

  function open(): Socket {
    const socket = connect(Number(new URL(app().url).port), '127.0.0.1');
    // The server may hang up while we write.
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    return socket;
  }

  function textOf(socket: Socket) {
    const answer = { text: '', closed: new Promise((resolve) => socket.once('close', resolve)) };
    socket.on('data', (chunk) => {
      answer.text += chunk;
    });
    return answer;
  }

  /** Begins an upload and sends this much of its body. */
  function begin(content: Buffer, sent: number): Socket {
    const socket = open();
    const head = [
      `POST ${PATH} HTTP/1.1`,
      'host: x',
      `authorization: Bearer ${app().admin.token}`,
      `content-type: ${MULTIPART}`,
      `content-length: ${content.length}`,
      'expect: 100-continue',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    socket.write(content.subarray(0, sent));
    return socket;
  }

  it('takes an upload that comes byte for byte', async () => {
    const content = body(YAML_PART, PGM_PART);
    const socket = begin(content, 1);
    socket.setNoDelay(true);
    const answer = textOf(socket);
    for (let at = 1; at < content.length; at += 1) {
      await new Promise<void>((resolve) => {
        socket.write(content.subarray(at, at + 1), () => resolve());
      });
    }
    await until('the answer', () => answer.text.includes('Map uploaded successfully'));
  });

  it('keeps nothing of an upload that breaks off, wherever it does', async () => {
    const before = await countOf(app());
    const content = body(part('name="robot_id"', ''), YAML_PART, PGM_PART);
    const connections = () =>
      new Promise<number>((resolve, reject) => {
        app().app.server.server.getConnections((error, n) => (error ? reject(error) : resolve(n)));
      });
    const idle = await connections();
    for (let sent = 0; sent < content.length; sent += 13) {
      const socket = begin(content, sent);
      await once(socket, 'connect');
      socket.destroy();
    }
    await until('the end of every connection', async () => (await connections()) <= idle);
    expect(await countOf(app())).toBe(before);
    // More broke off than may be under way at once; none holds its place.
    expect(await Promise.all(Array.from({ length: 12 }, () => upload(app())))).toEqual(
      Array(12).fill(expect.objectContaining({ status: 200 })),
    );
  });

  it('lets those wait that come while too many are under way, unread', async () => {
    const content = body(YAML_PART, PGM_PART);
    const stalled = Array.from({ length: 8 }, () => begin(content, content.length - 10));
    const answers = stalled.map(textOf);
    await until('the server to know of all', () =>
      answers.every(({ text }) => text.includes('100 Continue')),
    );
    await app().call('GET', '/version');
    let isAnswered = false;
    const waiting = upload(app()).finally(() => {
      isAnswered = true;
    });
    for (let n = 0; n < 20; n += 1) await app().call('GET', '/version');
    expect(isAnswered).toBe(false);
    // Those who lose patience in line take no place later on.
    for (let n = 0; n < 10; n += 1) {
      const impatient = begin(content, content.length - 10);
      const { closed } = textOf(impatient);
      await until('the server to know', () => impatient.bytesRead > 0);
      impatient.destroy();
      await closed;
    }
    stalled[0]?.destroy();
    expect((await waiting).status).toBe(200);
    for (const socket of stalled.slice(1)) socket.write(content.subarray(content.length - 10));
    await until('the rest', () => answers.slice(1).every(({ text }) => text.includes('200 OK')));
    const after = await Promise.all(Array.from({ length: 12 }, () => upload(app())));
    expect(after.map(({ status }) => status)).toEqual(Array(12).fill(200));
  });
});
