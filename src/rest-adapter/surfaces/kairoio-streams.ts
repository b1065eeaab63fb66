import { type Row, row } from '../define.js';

export const STREAMS: readonly Row[] = [
  row('POST', '/api/v1/streams/ticket', 'streams.ticket', {
    summary: 'Get a ticket that opens one stream within 60 s, for browsers, which send no header',
    tag: 'Streams',
  }),
];
