/** What the header of a JPEG says. */
export interface JpegHeader {
  /** Pixels. */
  width: number;
  height: number;
}

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;

/**
 * Reads the size of a JPEG (ISO/IEC 10918-1, annex B) without decoding it. Zero bytes after its end, which cameras leave
 * there, do not matter.
 * @returns undefined for what does not begin, end and have a size as a JPEG does.
 */
export function readJpegHeader(bytes: Uint8Array): JpegHeader | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== SOI || !endsWell(bytes)) return undefined;
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1] ?? 0;
    // Any number of fill bytes may come before a marker.
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === SOS || marker === EOI) return undefined;
    if (isFrame(marker)) return sizeAt(bytes, at);
    at += 2 + (hasLength(marker) ? wordAt(bytes, at + 2) : 0);
  }
  return undefined;
}

function endsWell(bytes: Uint8Array): boolean {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end >= 4 && bytes[end - 2] === 0xff && bytes[end - 1] === EOI;
}

/** SOF0 to SOF15, among which DHT, JPG and DAC have their numbers. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** All but TEM and the restart markers. */
function hasLength(marker: number): boolean {
  return marker !== 0x01 && !(marker >= 0xd0 && marker <= 0xd7);
}

function sizeAt(bytes: Uint8Array, at: number): JpegHeader | undefined {
  const [height, width] = [wordAt(bytes, at + 5), wordAt(bytes, at + 7)];
  return at + 9 <= bytes.length && width > 0 && height > 0 ? { width, height } : undefined;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
