import type { DtlsFingerprint, DtlsRole, FingerprintAlgorithm } from 'mediasoup/types';
import { type Kind, MediaError } from '../provider.js';
import type { Extension } from './extensions.js';
import { sendsOn } from './sending.js';
import { type Codec, codecsOf, type Description, parseText, type Section } from './vendor.js';

/** Of the text, in UTF-8. Chromium repeats all its codecs on each line, some 2 KiB: this is about thirty lines of it. */
export const SDP_LIMIT_BYTES = 64 * 1024;
export const LINES_LIMIT = 64;
/** The cost of reading grows with the lines of text; browsers, at some 27 bytes a line, stay below this as well. */
const TEXT_LINES_LIMIT = 4_000;

/** One media section ("m-line") of the client. */
export interface RemoteLine {
  readonly mid: string;
  /** Not audio or video (a data channel), of an unknown protocol, or refused by the client: it stays closed. */
  readonly rejected: boolean;
  /** The first word of the m-line. */
  readonly media: string;
  readonly protocol: string;
  /** The rest of the m-line. */
  readonly formats: string;
  /** Meaningful unless `rejected`, like all that follows. */
  readonly kind: Kind;
  readonly sends: boolean;
  readonly receives: boolean;
  readonly codecs: readonly Codec[];
  readonly extensions: readonly Extension[];
  readonly encodings: readonly Encoding[];
  /** The layers of a simulcast, as named by the client; empty without. */
  readonly rids: readonly string[];
  readonly cname: string | undefined;
}

/** One stream of a line: a simulcast layer by its name, anything else by its ssrc; `{}` is known by the line's mid. */
export interface Encoding {
  readonly rid?: string;
  readonly ssrc?: number;
  readonly rtxSsrc?: number;
}

export interface RemoteDescription {
  readonly lines: readonly RemoteLine[];
  /** Undefined when no line is in use. */
  readonly transport: RemoteTransport | undefined;
  readonly allowsMixedExtensions: boolean;
}

export interface RemoteTransport {
  readonly iceUfrag: string;
  /** `auto`: the client leaves the choice to us. */
  readonly role: DtlsRole;
  readonly fingerprint: DtlsFingerprint;
}

// The charset of RFC 4566 tokens: no space, no line end, so that a mid may be written back as it is.
const TOKEN = /^[\w!#$%&'*+.^`{|}~-]{1,64}$/;
const ICE_UFRAG = /^[\w+/=-]{4,256}$/;
const ICE_PWD = /^[\w+/=-]{22,256}$/;
const RTP = /^(UDP\/TLS\/)?RTP\/SAVPF$/;
const DIGEST_BYTES: Record<FingerprintAlgorithm, number> = {
  'sha-1': 20,
  'sha-224': 28,
  'sha-256': 32,
  'sha-384': 48,
  'sha-512': 64,
};
const ROLES: Record<string, DtlsRole> = { actpass: 'auto', active: 'client', passive: 'server' };

/**
 * Reads an offer or answer of a client.
 * @throws MediaError `sdp_too_large`, `bad_sdp`, or `sdp_unsupported` (valid, but no BUNDLE or no rtcp-mux); nothing else, ever.
 */
export function readDescription(sdp: string): RemoteDescription {
  const text = relevant(sdp);
  try {
    return describe(parseText(text));
  } catch (error) {
    if (error instanceof MediaError) throw error;
    throw new MediaError('bad_sdp', 'The session description cannot be read.');
  }
}

/** What a description asks for. @throws as `readDescription`. */
export function wishesOf(sdp: string): { sends: Set<Kind>; receives: Set<Kind> } {
  const used = readDescription(sdp).lines.filter(({ rejected }) => !rejected);
  const kinds = (lines: typeof used) => new Set(lines.map(({ kind }) => kind));
  return {
    sends: kinds(used.filter(({ sends }) => sends)),
    receives: kinds(used.filter(({ receives }) => receives)),
  };
}

const ATTRIBUTES = new Set([
  ...['group', 'mid', 'setup', 'fingerprint', 'ice-ufrag', 'ice-pwd', 'rtcp-mux', 'bundle-only'],
  ...['sendrecv', 'sendonly', 'recvonly', 'inactive', 'rtpmap', 'fmtp', 'rtcp-fb', 'extmap'],
  ...['extmap-allow-mixed', 'ssrc', 'ssrc-group', 'rid', 'simulcast'],
]);

/** The lines we look at: what nobody looks at need not be parsed, which costs dozens of patterns a line. */
function relevant(sdp: string): string {
  if (Buffer.byteLength(sdp) > SDP_LIMIT_BYTES) {
    throw new MediaError(
      'sdp_too_large',
      `The session description is larger than ${SDP_LIMIT_BYTES / 1024} KiB.`,
      { limit: 'sdp_bytes' },
    );
  }
  const lines = sdp.split(/\r\n|\r|\n/, TEXT_LINES_LIMIT + 1);
  if (lines[0]?.trimEnd() !== 'v=0') {
    throw new MediaError('bad_sdp', 'A session description begins with the line "v=0".');
  }
  if (lines.length > TEXT_LINES_LIMIT) {
    throw new MediaError(
      'sdp_too_large',
      `The session description has more than ${TEXT_LINES_LIMIT} lines of text.`,
      { limit: 'sdp_text_lines' },
    );
  }
  return lines
    .filter((line) => {
      if (line.startsWith('m=')) return true;
      return line.startsWith('a=') && ATTRIBUTES.has(/^[\w-]*/.exec(line.slice(2))?.[0] ?? '');
    })
    .join('\n');
}

function describe(description: Description): RemoteDescription {
  const { media } = description;
  if (media.length === 0) throw new MediaError('bad_sdp', 'There is no media section (m=).');
  if (media.length > LINES_LIMIT) {
    throw new MediaError('sdp_too_large', `There are more than ${LINES_LIMIT} media sections.`, {
      limit: 'sdp_lines',
    });
  }
  const used = media.filter(isUsed);
  const bundle = checkBundle(description, used);
  const seen = new Set<string>();
  return {
    lines: media.map((section, index) => {
      const line = readLine(section, description, index);
      if (line.mid !== '' && seen.has(line.mid)) {
        throw new MediaError('bad_sdp', `Two media sections have the mid "${line.mid}".`);
      }
      seen.add(line.mid);
      return line;
    }),
    transport: bundle && readTransport(description, bundle),
    allowsMixedExtensions: description.extmapAllowMixed !== undefined,
  };
}

/** Port 0 means refused, except with bundle-only, where it means: not without BUNDLE. */
function isUsed(section: Section): boolean {
  return section.port !== 0 || section.bundleOnly !== undefined;
}

/** Returns the section whose transport all others share. */
function checkBundle(description: Description, used: readonly Section[]): Section | undefined {
  if (used.length === 0) return undefined;
  const group = (description.groups ?? []).find(({ type }) => type === 'BUNDLE');
  const mids = String(group?.mids ?? '').split(' ');
  for (const { mid } of used) {
    if (mid === undefined || !mids.includes(String(mid))) {
      throw new MediaError(
        'sdp_unsupported',
        'All media must share one transport: every section in use belongs into a=group:BUNDLE (bundlePolicy "max-bundle").',
      );
    }
  }
  return used.find(({ mid }) => String(mid) === mids[0]) ?? used[0];
}

function readTransport(description: Description, section: Section): RemoteTransport {
  const iceUfrag = String(section.iceUfrag ?? description.iceUfrag ?? '');
  const icePwd = String(section.icePwd ?? description.icePwd ?? '');
  if (!ICE_UFRAG.test(iceUfrag) || !ICE_PWD.test(icePwd)) {
    throw new MediaError('bad_sdp', 'a=ice-ufrag or a=ice-pwd is missing or malformed.');
  }
  const role = ROLES[String(section.setup ?? description.setup)];
  if (!role) {
    throw new MediaError('bad_sdp', 'a=setup must be actpass, active or passive.');
  }
  const { type, hash } = section.fingerprint ?? description.fingerprint ?? {};
  const algorithm = String(type).toLowerCase() as FingerprintAlgorithm;
  const value = String(hash).toUpperCase();
  const bytes = Object.hasOwn(DIGEST_BYTES, algorithm) ? DIGEST_BYTES[algorithm] : undefined;
  if (!bytes || value.length !== bytes * 3 - 1 || !/^[\dA-F]{2}(:[\dA-F]{2})*$/.test(value)) {
    throw new MediaError(
      'bad_sdp',
      'a=fingerprint is missing or malformed: DTLS needs the hash of a certificate.',
    );
  }
  return { iceUfrag, role, fingerprint: { algorithm, value } };
}

function readLine(section: Section, description: Description, index: number): RemoteLine {
  const { type: media, protocol } = section;
  if (!media || !protocol) {
    throw new MediaError('bad_sdp', `Media section ${index} has a malformed m= line.`);
  }
  const mid = String(section.mid ?? '');
  const isMedia = (media === 'audio' || media === 'video') && RTP.test(protocol);
  const inUse = isUsed(section);
  if (inUse && !TOKEN.test(mid)) {
    throw new MediaError('bad_sdp', `The a=mid of media section ${index} is no token.`);
  }
  const formats = String(section.payloads ?? '');
  const closed = {
    mid: TOKEN.test(mid) ? mid : '',
    rejected: !isMedia || !inUse,
    media,
    protocol,
    formats: /^[\w.+-]+( [\w.+-]+)*$/.test(formats) ? formats : '0',
    kind: media === 'audio' ? ('audio' as const) : ('video' as const),
  };
  if (closed.rejected) return { ...closed, ...NOTHING };
  if (!section.rtcpMux) {
    throw new MediaError(
      'sdp_unsupported',
      `Media section "${mid}" has no a=rtcp-mux; RTP and RTCP must share one port.`,
    );
  }
  const direction = section.direction ?? description.direction ?? 'sendrecv';
  return {
    ...closed,
    sends: direction === 'sendrecv' || direction === 'sendonly',
    receives: direction === 'sendrecv' || direction === 'recvonly',
    codecs: readCodecs(section, formats),
    extensions: readExtensions(section),
    ...sendsOn(section),
  };
}

const NOTHING = {
  sends: false,
  receives: false,
  codecs: [],
  extensions: [],
  encodings: [],
  rids: [],
  cname: undefined,
};

const FEEDBACK = new Set(['nack', 'nack pli', 'ccm fir', 'goog-remb', 'transport-cc']);

/** Only what could be negotiated, so that nobody makes us hold lists of a thousand feedback types per codec. */
function readCodecs(section: Section, formats: string): Codec[] {
  const listed = new Set(formats.split(' ').map(Number));
  const payload = (value: number | string): value is number =>
    typeof value === 'number' && value <= 127 && listed.has(value);
  const feedback = new Map(
    (section.rtcpFb ?? []).flatMap((fb) => {
      // Pion leaves a space where others leave nothing.
      const name = `${fb.type} ${fb.subtype ?? ''}`.trim();
      const known = FEEDBACK.has(name) && (fb.payload === '*' || payload(fb.payload));
      return known ? [[`${fb.payload} ${name}`, fb] as const] : [];
    }),
  );
  return codecsOf({
    ...section,
    rtp: section.rtp.filter(
      ({ payload: number, codec, rate, encoding }) =>
        payload(number) &&
        /^[\w.-]{1,32}$/.test(String(codec)) &&
        typeof rate === 'number' &&
        (encoding === undefined || typeof encoding === 'number'),
    ),
    fmtp: section.fmtp
      .filter(({ payload: number }) => payload(number))
      .map(({ payload: number, config }) => ({ payload: number, config: String(config) })),
    rtcpFb: [...feedback.values()],
  });
}

/** Those the client sends; the other direction alone would be of no use. */
function readExtensions(section: Section): Extension[] {
  const byId = new Map<number, Extension>();
  for (const { value, uri, direction, 'encrypt-uri': encrypted } of section.ext ?? []) {
    if (typeof value !== 'number' || value < 1 || value > 255 || encrypted) continue;
    if (direction === 'recvonly' || direction === 'inactive' || byId.has(value)) continue;
    const inbound = direction === 'sendonly';
    byId.set(value, { id: value, uri: String(uri), ...(inbound && { inbound }) });
  }
  return [...byId.values()];
}
