import type { DtlsFingerprint } from 'mediasoup/types';
import { type IceSide, MediaError } from '../provider.js';
import { congestionOf, dialectOf } from './codecs.js';
import type { RemoteDescription } from './offer.js';
import { lineOf, type Slot } from './slots.js';
import type { SdpSessionOptions, SdpTransport } from './transport.js';
import { candidateText, writeDescription } from './write.js';

/** What all lines of a client share: its transport, and what descriptions say of it. */
export interface Connection {
  readonly transport: SdpTransport | undefined;
  readonly fingerprint: DtlsFingerprint | undefined;
  /** The transport, opened and connected by the first offer. Throws when a later one has other DTLS keys. */
  open(offer: RemoteDescription): Promise<SdpTransport>;
  /** Restarts ICE if the client has, as its offer shows. */
  followOffer(offer: RemoteDescription): Promise<void>;
  /** The same, told by the client's new name alone. @throws MediaError `wrong_state` before `open`. */
  restartIce(ufrag: string): Promise<IceSide>;
  write(slots: readonly Slot[], type: 'offer' | 'answer'): string;
}

export function createConnection(options: SdpSessionOptions, alive: () => void): Connection {
  const sessionId = options.clock.now();
  let transport: SdpTransport | undefined;
  let setup: 'passive' | 'active' = 'passive';
  let fingerprint: DtlsFingerprint | undefined;
  let iceUfrag = '';
  let allowMixedExtensions = false;
  let version = 0;

  async function open({ lines, transport: remote }: RemoteDescription): Promise<SdpTransport> {
    if (transport && fingerprint) {
      // DTLS keys are for the life of the transport: others mean another client, or a connection begun anew.
      if (remote && remote.fingerprint.value !== fingerprint.value) {
        throw new MediaError(
          'sdp_unsupported',
          'The DTLS fingerprint has changed: a new RTCPeerConnection has to join anew.',
        );
      }
      return transport;
    }
    if (!remote) throw new MediaError('bad_sdp', 'No media section is in use.');
    const role = remote.role === 'server' ? 'server' : 'client';
    try {
      transport ??= await options.openTransport(dialectOf(lines, options.rtpCapabilities));
      alive();
      await transport.connect({ role, fingerprints: [remote.fingerprint] });
      alive();
    } catch (error) {
      throw asMediaError(error, 'unavailable');
    }
    setup = role === 'server' ? 'active' : 'passive';
    fingerprint = remote.fingerprint;
    return transport;
  }

  async function followOffer(offer: RemoteDescription): Promise<void> {
    allowMixedExtensions = offer.allowsMixedExtensions;
    if (offer.transport) await followIce(offer.transport.iceUfrag);
  }

  async function followIce(ufrag: string): Promise<void> {
    if (ufrag === iceUfrag) return;
    if (iceUfrag !== '') await transport?.restartIce();
    alive();
    iceUfrag = ufrag;
  }

  async function restartIce(ufrag: string): Promise<IceSide> {
    if (!transport) throw noConnection();
    await followIce(ufrag);
    const { iceParameters, iceCandidates } = transport;
    return {
      ufrag: iceParameters.usernameFragment,
      pwd: iceParameters.password,
      candidates: iceCandidates.map(candidateText),
    };
  }

  function write(slots: readonly Slot[], type: 'offer' | 'answer'): string {
    if (!transport) throw noConnection();
    version += 1;
    const { fingerprints } = transport.dtlsParameters;
    const own = fingerprints.find(({ algorithm }) => algorithm === 'sha-256') ?? fingerprints[0];
    if (!own) throw new MediaError('unavailable', 'The transport has no certificate.');
    const congestion = congestionOf(
      slots.flatMap(({ offered, extensions }) => (offered ? extensions : [])),
    );
    return writeDescription({
      sessionId,
      version,
      ice: transport.iceParameters,
      candidates: transport.iceCandidates,
      fingerprint: own,
      setup: type === 'offer' ? 'actpass' : setup,
      allowMixedExtensions,
      lines: slots.map((slot) => lineOf(slot, type, congestion, options.startKbps)),
    });
  }

  return {
    get transport() {
      return transport;
    },
    get fingerprint() {
      return fingerprint;
    },
    open,
    followOffer,
    restartIce,
    write,
  };
}

function noConnection(): MediaError {
  return new MediaError('wrong_state', 'There is no connection yet.');
}

export function asMediaError(error: unknown, reason: 'bad_media' | 'unavailable'): MediaError {
  if (error instanceof MediaError) return error;
  return new MediaError(
    reason,
    reason === 'bad_media'
      ? 'The media engine refused what the offer asks for.'
      : 'The media engine has no transport to give.',
  );
}
