import { spawn, spawnSync } from 'node:child_process';
import { createHmac, randomBytes, X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * Completes a DTLS handshake with the worker that MEDIASOUP_WORKER_BIN names, over real sockets: a worker that merely
 * starts may still die on a browser's first packet. Exit code 0 when it went well; else a line says what did not.
 */
const LIMIT_MS = 15_000;
const folder = mkdtempSync(join(tmpdir(), 'fleetwire-worker-'));
const close = [() => rmSync(folder, { recursive: true, force: true })];

try {
  await withinLimit(handshake());
} catch (error) {
  console.error(`mediasoup's worker fails its self test: ${error.message}`);
  process.exitCode = 1;
}
for (const step of close.reverse()) step();

async function handshake() {
  const { createWorker } = await import('mediasoup');
  const worker = await createWorker({ logLevel: 'none' });
  close.push(() => worker.close());
  const died = once(worker, 'died').then(([error]) => Promise.reject(error));
  const router = await worker.createRouter({
    mediaCodecs: [{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 }],
  });
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
  });
  const identity = makeCertificate();
  await transport.connect({
    dtlsParameters: {
      role: 'client',
      fingerprints: [{ algorithm: 'sha-256', value: identity.fingerprint }],
    },
  });

  const connected = new Promise((resolve, reject) => {
    transport.on('dtlsstatechange', (state) => {
      if (state === 'connected') resolve();
      if (state === 'failed' || state === 'closed') reject(new Error(`DTLS is ${state}`));
    });
  });
  const [candidate] = transport.iceCandidates;
  const peer = await openSocket();
  const nominated = once(transport, 'iceselectedtuplechange');
  peer.send(bindingRequest(transport.iceParameters), candidate.port, candidate.ip);
  await Promise.race([nominated, died]);
  await startClient(peer, candidate, identity);
  await Promise.race([connected, died]);
}

/** OpenSSL's own DTLS client; what it sends goes out of the socket that was nominated. */
async function startClient(peer, candidate, { certificate, key }) {
  const relay = await openSocket();
  let clientPort;
  relay.on('message', (packet, { port }) => {
    clientPort = port;
    peer.send(packet, candidate.port, candidate.ip);
  });
  peer.on('message', (packet) => {
    const isDtls = packet[0] >= 20 && packet[0] <= 63;
    if (isDtls && clientPort !== undefined) relay.send(packet, clientPort, '127.0.0.1');
  });
  const client = spawn('openssl', [
    ...['s_client', '-dtls1_2', '-connect', `127.0.0.1:${relay.address().port}`],
    ...['-cert', certificate, '-key', key, '-use_srtp', 'SRTP_AES128_CM_SHA1_80'],
  ]);
  close.push(() => client.kill());
  client.on('error', () => {});
}

function makeCertificate() {
  const certificate = join(folder, 'certificate.pem');
  const key = join(folder, 'key.pem');
  const { error, status } = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=self-test'],
    ...['-keyout', key, '-out', certificate],
  ]);
  if (error || status !== 0) throw new Error('it needs the openssl command');
  const { fingerprint256 } = new X509Certificate(readFileSync(certificate));
  return { certificate, key, fingerprint: fingerprint256 };
}

async function openSocket() {
  const socket = createSocket('udp4');
  close.push(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** A STUN Binding request (RFC 8489) that nominates its candidate pair at once (RFC 8445, 7.2.5). */
function bindingRequest({ usernameFragment, password }) {
  const attributes = [
    attribute(0x0006, Buffer.from(`${usernameFragment}:test`)), // USERNAME
    attribute(0x0024, Buffer.from([0x7e, 0xff, 0xff, 0xff])), // PRIORITY
    attribute(0x802a, randomBytes(8)), // ICE-CONTROLLING
    attribute(0x0025, Buffer.alloc(0)), // USE-CANDIDATE
  ];
  const body = Buffer.concat(attributes);
  const header = Buffer.concat([Buffer.from('000100002112a442', 'hex'), randomBytes(12)]);
  // Each of the last two covers a header whose length includes itself (sections 14.5 and 14.7).
  header.writeUInt16BE(body.length + 24, 2);
  const signature = createHmac('sha1', password).update(header).update(body).digest();
  const signed = Buffer.concat([body, attribute(0x0008, signature)]);
  header.writeUInt16BE(signed.length + 8, 2);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE((crc32(Buffer.concat([header, signed])) ^ 0x5354554e) >>> 0);
  return Buffer.concat([header, signed, attribute(0x8028, checksum)]);
}

function attribute(type, value) {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

async function withinLimit(work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no DTLS handshake within ${LIMIT_MS / 1_000} s`)),
      LIMIT_MS,
    );
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
