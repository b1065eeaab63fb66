import { MediaError } from '../provider.js';
import type { Encoding } from './offer.js';
import type { Section } from './vendor.js';

/** What no browser exceeds: three layers, or one stream each for three legacy layers and their RTX. */
const ENCODINGS_LIMIT = 4;
const RID = /^[\w-]{1,16}$/;
export const CNAME = /^[\w+/={}.@:-]{1,128}$/;

/** What the client sends on a section: simulcast layers by name, otherwise streams by ssrc, otherwise "whatever has this mid". */
export function sendsOn(section: Section): {
  encodings: Encoding[];
  rids: string[];
  cname: string | undefined;
} {
  const rids = ridsOf(section);
  const encodings: Encoding[] = rids.length > 0 ? rids.map((rid) => ({ rid })) : streamsOf(section);
  if (encodings.length > ENCODINGS_LIMIT) {
    throw new MediaError(
      'bad_sdp',
      `A media section has ${encodings.length} streams; ${ENCODINGS_LIMIT} are the most.`,
    );
  }
  const cname = section.ssrcs?.find(({ attribute }) => attribute === 'cname')?.value;
  return {
    encodings: encodings.length > 0 ? encodings : [{}],
    rids,
    cname: CNAME.test(String(cname ?? '')) ? String(cname) : undefined,
  };
}

/** In the order of a=simulcast, of alternatives the first; a lone layer is no simulcast but still has its name. */
function ridsOf({ rids, simulcast }: Section): string[] {
  const named = new Set(
    (rids ?? []).filter(({ direction }) => direction === 'send').map(({ id }) => String(id)),
  );
  const list =
    simulcast?.dir1 === 'send'
      ? simulcast.list1
      : simulcast?.dir2 === 'send'
        ? simulcast.list2
        : undefined;
  const ordered =
    list === undefined
      ? [...named]
      : String(list)
          .split(';')
          .map((alternatives) => alternatives.split(',')[0]?.replace(/^~/, '') ?? '')
          .filter((rid) => named.has(rid));
  return [...new Set(ordered)].filter((rid) => RID.test(rid));
}

function isSsrc(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= 0xffff_ffff;
}

/** Repair streams belong to the stream they repair: RTX is kept with it, forward error correction is ignored. */
function streamsOf({ ssrcs, ssrcGroups }: Section): Encoding[] {
  const media = new Set((ssrcs ?? []).map(({ id }) => id).filter(isSsrc));
  const rtx = new Map<number, number>();
  for (const { semantics, ssrcs: members } of ssrcGroups ?? []) {
    if (semantics !== 'FID' && semantics !== 'FEC-FR' && semantics !== 'FEC') continue;
    const [main, repair] = String(members).split(' ').map(Number);
    if (!isSsrc(main) || !isSsrc(repair) || main === repair || !media.has(main)) continue;
    media.delete(repair);
    if (semantics === 'FID') rtx.set(main, repair);
  }
  return [...media].map((ssrc) => {
    const rtxSsrc = rtx.get(ssrc);
    return rtxSsrc === undefined ? { ssrc } : { ssrc, rtxSsrc };
  });
}
