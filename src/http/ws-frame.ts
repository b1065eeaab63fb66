const FINAL_TEXT = 0x81;
const SHORT_MOST = 125;
const SHORT_FOLLOWS = 126;
const LONG_FOLLOWS = 127;
const TWO_BYTES_MOST = 65_535;

/** A text as one WebSocket frame of a server: final and without a mask (RFC 6455, 5.2). */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const headLength = length <= SHORT_MOST ? 2 : length <= TWO_BYTES_MOST ? 4 : 10;
  const frame = Buffer.allocUnsafe(headLength + length);
  frame[0] = FINAL_TEXT;
  if (headLength === 2) frame[1] = length;
  else if (headLength === 4) {
    frame[1] = SHORT_FOLLOWS;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = LONG_FOLLOWS;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, headLength);
  return frame;
}
