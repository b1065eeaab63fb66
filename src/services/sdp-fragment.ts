import { DomainError } from '../lib/errors.js';
import type { IceSide } from '../media/provider.js';

/** What fragments of a session say beside the ICE itself. */
export interface IceAnswer {
  ufrag: string;
  /** The lines that name the sections, and the first of these, without line ends. */
  group: string | undefined;
  media: string | undefined;
  mid: string | undefined;
}

/** What a description of ours or an offer that was accepted says; its first section speaks for all (RFC 9725 4.3). */
export function iceOfAnswer(sdp: string): IceAnswer {
  return {
    ufrag: /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1] ?? '',
    group: /^a=group:BUNDLE .*$/m.exec(sdp)?.[0].trim(),
    media: /^m=.*$/m.exec(sdp)?.[0].trim(),
    mid: /^a=mid:.*$/m.exec(sdp)?.[0].trim(),
  };
}

const UFRAG = /^[\w+/=-]{4,256}$/;
const PWD = /^[\w+/=-]{22,256}$/;

/**
 * Reads a fragment (RFC 8840 9) of a client. Its candidates are not looked at: an ICE-lite server learns addresses from
 * the checks that it receives.
 * @throws DomainError `invalid_input` for what is none.
 */
export function readFragment(text: string): { ufrag: string | undefined; pwd: string | undefined } {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line !== '');
  if (lines.length === 0 || lines.some((line) => !/^[a-z]=/.test(line))) {
    throw malformed('write lines such as a=candidate:…');
  }
  const attribute = (name: string, form: RegExp): string | undefined => {
    const line = lines.find((one) => one.startsWith(`a=${name}:`));
    const value = line?.slice(name.length + 3).trim();
    if (value !== undefined && !form.test(value)) throw malformed(`a=${name} is malformed`);
    return value;
  };
  return { ufrag: attribute('ice-ufrag', UFRAG), pwd: attribute('ice-pwd', PWD) };
}

/** What the server answers when ICE begins anew. */
export function fragmentOf({ group, media, mid }: IceAnswer, side: IceSide): string {
  const lines = [
    'a=ice-lite',
    ...[group, media, mid].filter((line) => line !== undefined),
    `a=ice-ufrag:${side.ufrag}`,
    `a=ice-pwd:${side.pwd}`,
    ...side.candidates.map((candidate) => `a=${candidate}`),
    'a=end-of-candidates',
  ];
  return `${lines.join('\r\n')}\r\n`;
}

function malformed(what: string): DomainError {
  return new DomainError('invalid_input', `fragment: ${what}`);
}
