const WHOLE = Buffer.from(
  [
    '/9j/4AAQSkZJRgABAgAAAQABAAD//gAQTGF2YzU5LjM3LjEwMAD/2wBDAAgoKC8oLzc3Nzc3N0E8QUNDQ0FBQUFDQ0',
    'NISEhVVVVISEhDQ0hIUFBVVVxfXFdXVVdfX2RkZHh4c3OMjJGsrM//xABKAAEAAAAAAAAAAAAAAAAAAAAAAQEAAAAA',
    'AAAAAAAAAAAAAAAAEAEAAAAAAAAAAAAAAAAAAAAAEQEAAAAAAAAAAAAAAAAAAAAA/8AAEQgACAAQAwEiAAIRAAMRAP',
    '/aAAwDAQACEQMRAD8AAA//2Q==',
  ].join(''),
  'base64',
);

/** A grey JPEG of 16 by 8 pixels, as ffmpeg writes it; a comment in it tells one from another. */
export function jpeg(comment = ''): Uint8Array<ArrayBuffer> {
  const text = Buffer.from(comment);
  const head = Buffer.from([0xff, 0xd8, 0xff, 0xfe, 0, 0]);
  head.writeUInt16BE(text.length + 2, 4);
  return new Uint8Array(Buffer.concat([head, text, WHOLE.subarray(2)]));
}
