import { LRUCache } from 'lru-cache';
import { DomainError } from '../lib/errors.js';
import { inTurns } from '../lib/in-turns.js';
import { PgmError, readPgmHeader } from '../lib/pgm.js';
import { type GreyPixels, greyPixels } from '../lib/pgm-samples.js';
import { createSemaphore } from '../lib/semaphore.js';

export type ImageFormat = 'pgm' | 'png';

/** Images on their way out: read or drawn once for everybody who asks meanwhile, and a few kept for the next one. */
export interface MapImages {
  /**
   * The image of which the PGM has this SHA-256. `readPgm` is called when it is not at hand.
   * @throws DomainError `conflict` for a PNG of what is no PGM, `rate_limited` when too many wait.
   */
  get(sha: string, format: ImageFormat, readPgm: () => Promise<Uint8Array>): Promise<Uint8Array>;
}

const KEPT_BYTES = 16 * 2 ** 20;
const KEPT_MS = 60_000;
/** Each holds an image in memory, and one in drawing holds its pixels too. */
const AT_ONCE = 2;
const WAITING_LIMIT = 64;

export function createMapImages(pixelLimit: number): MapImages {
  const kept = new LRUCache<string, Uint8Array>({
    maxSize: KEPT_BYTES,
    sizeCalculation: (bytes) => bytes.length,
    ttl: KEPT_MS,
    ttlAutopurge: true,
  });
  const underWay = new Map<string, Promise<Uint8Array>>();
  const inLine = createSemaphore(AT_ONCE, WAITING_LIMIT, 'map_images');

  async function make(
    sha: string,
    format: ImageFormat,
    readPgm: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const pgm = kept.get(`${sha}.pgm`) ?? (await readPgm());
    return format === 'pgm' ? pgm : draw(pgm, pixelLimit);
  }

  return {
    async get(sha, format, readPgm) {
      const key = `${sha}.${format}`;
      const known = kept.get(key) ?? underWay.get(key);
      if (known) return known;
      const making = inLine(() => make(sha, format, readPgm));
      underWay.set(key, making);
      try {
        const bytes = await making;
        if (bytes.length <= KEPT_BYTES) kept.set(key, bytes);
        return bytes;
      } finally {
        underWay.delete(key);
      }
    },
  };
}

async function draw(pgm: Uint8Array, pixelLimit: number): Promise<Uint8Array> {
  try {
    const header = readPgmHeader(pgm, pixelLimit);
    return await encodePng(await inTurns(greyPixels(pgm, header)), header);
  } catch (error) {
    if (!(error instanceof PgmError)) throw error;
    throw new DomainError('conflict', `This map cannot be drawn: its image ${error.message}`);
  }
}

interface Size {
  width: number;
  height: number;
}

/** An 8- or 16-bit grey PNG, made by a thread of the library. */
async function encodePng(pixels: GreyPixels, { width, height }: Size): Promise<Uint8Array> {
  // Loaded for the first image: it takes longer to load than all the rest of the server.
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  const raw = { width, height, channels: 1 } as const;
  const colours = pixels instanceof Uint16Array ? 'grey16' : 'b-w';
  return sharp(pixels, { raw, limitInputPixels: false })
    .toColourspace(colours)
    .png({ compressionLevel: 6 })
    .toBuffer();
}
