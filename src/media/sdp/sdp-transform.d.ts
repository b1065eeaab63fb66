/** What vendor.ts uses of the package, which brings no types; values that look like integers arrive as numbers. */
declare module 'sdp-transform' {
  export interface Section {
    type?: string;
    port?: number | string;
    protocol?: string;
    payloads?: number | string;
    rtp: { payload: number | string; codec: string | number; rate?: unknown; encoding?: unknown }[];
    fmtp: { payload: number | string; config: string | number }[];
    rtcpFb?: { payload: number | string; type: string | number; subtype?: string | number }[];
    ext?: {
      value: number | string;
      direction?: string | number;
      uri: string | number;
      'encrypt-uri'?: string;
    }[];
    ssrcs?: { id: number | string; attribute?: string | number; value?: string | number }[];
    ssrcGroups?: { semantics: string | number; ssrcs: string | number }[];
    rids?: { id: number | string; direction: string | number }[];
    simulcast?: { dir1: string; list1: string | number; dir2?: string; list2?: string | number };
    mid?: number | string;
    direction?: string;
    rtcpMux?: string;
    bundleOnly?: string;
    setup?: string | number;
    fingerprint?: { type: string | number; hash: string | number };
    iceUfrag?: number | string;
    icePwd?: number | string;
  }

  export interface Description {
    media: Section[];
    groups?: { type: string | number; mids: string | number }[];
    direction?: string;
    setup?: string | number;
    fingerprint?: { type: string | number; hash: string | number };
    iceUfrag?: number | string;
    icePwd?: number | string;
    extmapAllowMixed?: string;
  }

  const sdpTransform: { parse(sdp: string): Description };
  export default sdpTransform;
}
