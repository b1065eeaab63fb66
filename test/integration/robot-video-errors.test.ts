import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { describeWithWorker, watchEngine } from '../support/media.js';
import { expectFailure } from '../support/rest.js';
import { makeKey, send, startVideo } from '../support/video.js';

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';
const FOLDER = 'test/fixtures/sdp';
const FIXTURES = readdirSync(FOLDER).filter((name) => name.endsWith('.sdp'));
const fixture = (name: string) =>
  readFileSync(`${FOLDER}/${name}`, 'utf8').replace(/\r?\n/g, '\r\n');
const OFFER = fixture('chromium-audio-video.sdp');
const RECVONLY = fixture('chromium-recvonly.sdp');
const UFRAG = /^a=ice-ufrag:(.*)\r$/m;
/** A fragment with the ICE of this description. */
const fragmentOf = (sdp: string) =>
  `a=ice-ufrag:${UFRAG.exec(sdp)![1]}\r\na=ice-pwd:${'p'.repeat(22)}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n` +
  'a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host\r\n';

describeWithWorker('WHIP and WHEP, told apart by what goes wrong', () => {
  async function start(options: Parameters<typeof startVideo>[0] = {}) {
    const video = await startVideo(options);
    const { app, robotKey } = video;
    const { url } = app;
    const open = (
      name: 'whip' | 'whep',
      {
        body = OFFER,
        token = robotKey as string | null,
        type = SDP,
        robot = 'r1',
        search = '',
      } = {},
    ) =>
      send(`${url}/${name}/${encodeURIComponent(robot)}${search}`, 'POST', { token, type, body });
    /** A session that began well. */
    const begin = async (token = robotKey) => {
      const { status, headers } = await open('whip', { token });
      expect(status).toBe(201);
      return { location: `${url}${headers.get('location')}`, etag: headers.get('etag')! };
    };
    return { ...video, open, begin };
  }

  it('begins with 201, where it is, and what may be done to it', async () => {
    const { open, app } = await start();
    const begun = await open('whip');
    expect(begun.status).toBe(201);
    expect(Object.fromEntries(begun.headers)).toMatchObject({
      location: expect.stringMatching(/^\/whip\/r1\/[\w-]{32}$/),
      etag: expect.stringMatching(/^"\S+"$/),
      'content-type': SDP,
      'accept-patch': FRAGMENT,
      'access-control-allow-origin': '*',
      'access-control-expose-headers': expect.stringContaining('Location, ETag, Link'),
    });
    expect(begun.text).toMatch(/^a=recvonly\r$/m);
    expect(begun.text).not.toMatch(/^a=sendonly\r$/m);
    const watched = await open('whep', { body: RECVONLY, token: app.admin.token });
    expect(watched.status).toBe(201);
    expect(watched.text.match(/^a=sendonly\r$/gm)).toHaveLength(2);
    const metrics = await app.call('GET', '/metrics', undefined, null);
    expect(metrics.text).toMatch(/^fleetwire_video_sessions\{role="publish"\} 1$/m);
    expect(metrics.text).toMatch(/^fleetwire_robot_viewers 1$/m);
  });

  it('through tRPC too', async () => {
    const { app, robotKey } = await start();
    const post = (path: string, body: object) => app.call('POST', `/trpc/${path}`, body, robotKey);
    const { json } = await post('whip.open', { robot_id: 'r1', sdp: OFFER });
    const { session_id, sdp, etag } = json.result.data;
    expect(sdp).toMatch(/^v=0\r$/m);
    const session = { robot_id: 'r1', session_id };
    const patch = { ...session, fragment: fragmentOf(OFFER), if_match: etag };
    expect((await post('whip.patch', patch)).json.result.data).toEqual({ fragment: null, etag });
    expect((await post('whip.end', session)).json.result.data).toEqual({
      message: 'Session ended',
    });
  });

  it.each(['whip', 'whep'] as const)('refuses what is wrong with a POST to /%s', async (name) => {
    const { app, open, robotKey } = await start();
    await app.call('POST', '/api/v1/robots', { robot_id: 'r2', robot_type: 'cart' });
    const stranger = await app.addAccount();
    const { token } = app.admin;
    const good = name === 'whip' ? OFFER : RECVONLY;
    const narrow = await makeKey(app, { scopes: ['status:read'] });
    const cases: [number, string | RegExp, Parameters<typeof open>[1]][] = [
      [401, 'Invalid certification key', { token: null }],
      [401, 'Invalid certification key', { token: 'unknown' }],
      [403, 'Access denied', { token: stranger.token }],
      [
        403,
        `This key lacks the scope video:${name === 'whip' ? 'publish' : 'watch'}`,
        { token: narrow },
      ],
      [
        403,
        /^(Access denied|This key lacks the scope video:watch)$/,
        { token: robotKey, robot: 'r2' },
      ],
      [404, 'Robot not found', { token, robot: 'nobody' }],
      [400, /^robotId: /, { token, robot: 'x'.repeat(129) }],
      [400, /^label: /, { token, search: `?label=${'x'.repeat(65)}` }],
      [415, /application\/sdp/, { token, type: 'application/json' }],
      [415, /application\/sdp/, { token, type: 'text/plain' }],
      [400, /v=0/, { token, body: '' }],
      [400, /v=0/, { token, body: '{"sdp":1}' }],
      [400, /media section/, { token, body: 'v=0\r\n' }],
      [413, /sdp_bytes/, { token, body: good + 'a=x\r\n'.repeat(13_200) }],
      [
        400,
        /no (sendonly|recvonly) section/,
        { token, body: name === 'whip' ? RECVONLY : OFFER.replace(/a=sendrecv/g, 'a=sendonly') },
      ],
      [400, /BUNDLE/, { token, body: good.replace(/a=group:BUNDLE.*\r\n/, '') }],
      [400, /rtcp-mux/, { token, body: good.replace(/a=rtcp-mux\r\n/g, '') }],
    ];
    for (const [status, sentence, spec] of cases) {
      expectFailure((await open(name, { body: good, ...spec })) as never, status, sentence);
    }
    const bytes = await send(`${app.url}/${name}/r1`, 'POST', {
      ...{ token, type: SDP, body: new Uint8Array([0xff, 0xfe, 0x00]) },
    });
    expectFailure(bytes as never, 400, /UTF-8/);
    const room = app.app.media.room('robot:ADMIN-001:r1');
    expect(room?.members() ?? []).toEqual([]);
  });

  it('refuses codecs that nobody has', async () => {
    const { app, open, begin } = await start();
    const unknown = OFFER.replace(/ (VP8|H264|opus)\//gi, ' X$1/');
    expectFailure((await open('whip', { body: unknown })) as never, 400, /VP8 or H264/);
    await begin();
    const deaf = RECVONLY.replace(/ (VP8|H264|opus)\//gi, ' X$1/');
    const refused = await open('whep', { body: deaf, token: app.admin.token });
    expectFailure(refused as never, 400, /no codec in which the robot sends/);
  });

  it('has 405 for other methods, and says what there is', async () => {
    const { app, begin } = await start();
    const { location } = await begin();
    const { token } = app.admin;
    for (const method of ['GET', 'HEAD', 'PUT', 'POST']) {
      const { status, headers } = await send(location, method, { token });
      expect([method, status, headers.get('allow')]).toEqual([
        ...[method, 405, 'PATCH, DELETE, OPTIONS'],
      ]);
    }
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']) {
      const { status, headers } = await send(`${app.url}/whep/r1`, method, { token });
      expect([method, status, headers.get('allow')]).toEqual([method, 405, 'POST, OPTIONS']);
    }
    for (const prefix of ['', '/compat/kairoio']) {
      const options = await send(`${app.url}${prefix}/whip/r1`, 'OPTIONS', {
        headers: {
          origin: 'https://elsewhere.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type,if-match',
        },
      });
      expect(options.status).toBe(204);
      expect(Object.fromEntries(options.headers)).toMatchObject({
        'accept-post': SDP,
        'access-control-allow-origin': '*',
        'access-control-allow-methods': expect.stringContaining('PATCH'),
        'access-control-allow-headers': 'authorization,content-type,if-match',
      });
    }
  });

  it('takes candidates and restarts of ICE as RFC 9725 says', async () => {
    const { app, robotKey: token, begin } = await start();
    const { location, etag } = await begin();
    const patch = (body: string, match?: string, type = FRAGMENT, at = location) =>
      send(at, 'PATCH', {
        ...{ token, type, body },
        headers: match === undefined ? {} : { 'if-match': match },
      });
    const trickle = fragmentOf(OFFER);
    expect(await patch(trickle, etag)).toMatchObject({ status: 204, text: '' });
    expect((await patch(trickle, '*')).status).toBe(204);
    expectFailure((await patch(trickle)) as never, 428, /If-Match/);
    expectFailure((await patch(trickle, '"another"')) as never, 412);
    expectFailure((await patch(trickle, etag, SDP)) as never, 415);
    expectFailure((await patch('nonsense', etag)) as never, 400, /^fragment: /);
    expectFailure((await patch('a=ice-ufrag:x\r\n', '*')) as never, 400, /ice-ufrag/);
    expectFailure((await patch('a=ice-ufrag:fresh\r\n', '*')) as never, 400, /ice-pwd/);
    expectFailure((await patch('a=x\r\n'.repeat(13_200), etag)) as never, 413);

    const fresh = trickle.replace(/a=ice-ufrag:.*/, 'a=ice-ufrag:fresh');
    const restarted = await patch(fresh, '*');
    expect(restarted.status).toBe(200);
    expect(restarted.headers.get('content-type')).toBe(FRAGMENT);
    const next = restarted.headers.get('etag')!;
    expect(next).not.toBe(etag);
    expect(restarted.text).toMatch(
      /^a=ice-lite\r\na=group:BUNDLE 0 1\r\nm=audio 9 .*\r\na=mid:0\r\n/,
    );
    expect(restarted.text).toContain(`a=ice-ufrag:${next.slice(1, -1)}\r\na=ice-pwd:`);
    expect(restarted.text).toMatch(/a=candidate:.*\r\na=end-of-candidates\r\n$/s);
    expectFailure((await patch(fresh, etag)) as never, 412);
    expect((await patch(fresh, next)).status).toBe(204);

    const gone = location.replace(/[\w-]{32}$/, 'x'.repeat(32));
    expectFailure((await patch(trickle, etag, FRAGMENT, gone)) as never, 404);
    expectFailure((await patch(trickle, etag, FRAGMENT, `${gone}%20`)) as never, 400);
    const asWhep = location.replace('/whip/', '/whep/');
    const other = await send(asWhep, 'DELETE', { token: app.admin.token });
    expectFailure(other as never, 404);
  });

  it('is ended by who began it, or the account, and by nobody else', async () => {
    const { app, begin, streams } = await start();
    const { location } = await begin();
    const stranger = await app.addAccount();
    const colleague = await makeKey(app, { scopes: ['video:publish'] });
    const end = (token: string | null) => send(location, 'DELETE', { token });
    expectFailure((await end(null)) as never, 401);
    expectFailure((await end(stranger.token)) as never, 403, 'Access denied');
    expectFailure((await end(colleague)) as never, 403, 'Another key began this session');
    expect(await streams()).toMatchObject({ count: 2 });
    expect((await end(app.admin.token)).json).toEqual({
      success: true,
      data: { message: 'Session ended' },
    });
    expect(await streams()).toMatchObject({ count: 0 });
    expectFailure((await end(app.admin.token)) as never, 404, /no such session/);
  });

  it('has a limit on the sessions of a robot', async () => {
    const { open } = await start();
    for (let n = 0; n < 8; n += 1) {
      expect((await open('whip', { search: `?label=${n}` })).status).toBe(201);
    }
    const ninth = await open('whip', { search: '?label=9' });
    expectFailure(ninth as never, 429, /8 WHIP sessions/);
    expect(ninth.headers.get('retry-after')).toBe('2');
    // One that is started again is no ninth.
    expect((await open('whip', { search: '?label=7' })).status).toBe(201);
  });

  it('has a limit on the members of an account', async () => {
    const few = await start({ config: { media: { max_members_per_account: 1 } } });
    expect((await few.open('whip')).status).toBe(201);
    expectFailure((await few.open('whip', { search: '?label=b' })) as never, 429);
  });

  it('has a limit on requests, as every call', async () => {
    const limited = await start({
      config: { limits: { requests_per_second: 3 }, features: { rate_limiting_enabled: true } },
    });
    const answers = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => limited.open('whip')));
    const refused = answers.find(({ status }) => status === 429)!;
    expectFailure(refused as never, 429, /requests_per_second/);
    expect(refused.headers.get('retry-after')).toBe('1');
  });

  it('is away, and says for how long, while no worker can be had', async () => {
    const off = await start({ config: { media: { enabled: false } } });
    const refused = await off.open('whip');
    expectFailure(refused as never, 503, /media\.enabled/);
    expect(refused.headers.get('retry-after')).toBe('60');
    expectFailure(
      (await off.open('whep', { body: RECVONLY, token: off.app.admin.token })) as never,
      503,
    );
    const full = await start({ config: { media: { max_rooms: 1 } } });
    await full.app.app.media.openRoom('another', { maxMembers: 1 });
    expectFailure((await full.open('whip')) as never, 429, /rooms open/);
  });

  it('reads or refuses hostile offers, whatever they are, and goes on', async () => {
    const engine = await watchEngine();
    const { app, open, streams } = await start();
    const texts = FIXTURES.map(fixture);
    const position = fc.nat({ max: 9_999 }).map((n) => n / 10_000);
    const insert = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.constantFrom('\r\n', ' ', ':', ';', '=', '-1', '4294967296', '__proto__', '\u0000'),
    );
    const edits = fc.array(fc.tuple(position, fc.nat({ max: 40 }), insert), {
      ...{ minLength: 1, maxLength: 4 },
    });
    const hostile = fc.tuple(fc.constantFrom(...texts), edits).map(([text, changes]) =>
      changes.reduce((result, [at, remove, added]) => {
        const from = Math.floor(at * result.length);
        return result.slice(0, from) + added + result.slice(from + remove);
      }, text),
    );
    const seen = new Map<number, number>();
    // Somebody sends, so that viewers are answered at once.
    expect((await open('whip', { search: '?label=steady' })).status).toBe(201);
    await fc.assert(
      fc.asyncProperty(hostile, async (body) => {
        for (const [name, token] of [
          ['whip', undefined],
          ['whep', app.admin.token],
        ] as const) {
          const { status, headers } = await open(name, { body, ...(token && { token }) });
          seen.set(status, (seen.get(status) ?? 0) + 1);
          expect([201, 400, 409, 413]).toContain(status);
          const location = headers.get('location');
          if (location && name === 'whep') {
            await send(`${app.url}${location}`, 'DELETE', { token: app.admin.token });
          }
        }
      }),
      { numRuns: 150 },
    );
    // Else the mutations would never get beyond the first check, or change nothing.
    expect(seen.get(201)).toBeGreaterThan(20);
    expect(seen.get(400)).toBeGreaterThan(20);
    expect(engine.workers.filter(({ closed }) => closed)).toEqual([]);
    expect(await streams()).toMatchObject({ viewers: 0 });
    expect((await open('whip', { search: '?label=after' })).status).toBe(201);
  }, 120_000);
});
