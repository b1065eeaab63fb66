import { z } from 'zod';
import type { Issue } from './errors.js';
import { yamlPackage } from './yaml-package.js';

/** The YAML beside a map's image, by the rules of ROS map_server (nav2). */
export interface MapYaml {
  /** Metres that a pixel is wide and high. */
  resolution: number;
  /** The pose of the lower-left corner of the lower-left pixel: metres, metres, radians. */
  origin: [x: number, y: number, yaw: number];
  negate: boolean;
  occupied_thresh: number;
  free_thresh: number;
  mode: 'trinary' | 'scale' | 'raw';
}

export const MAP_YAML_LIMIT_BYTES = 65_536;
/** Ten times what any map needs. */
const TOKEN_LIMIT = 1_000;
const OPENER_LIMIT = 50;
const ALIAS_LIMIT = 10;
const OPENERS: ReadonlySet<string> = new Set(['[', '{', '-', '?']);

const Threshold = number('a number from 0 to 1')
  .min(0, 'must be from 0 to 1')
  .max(1, 'must be from 0 to 1');
const Fields = z.object({
  // Never opened: the image is the other part of the upload.
  image: z.string(wanted('the name of the image file')).min(1, 'must not be empty'),
  resolution: number('the metres of a pixel').positive('must be above 0'),
  origin: z
    .array(number('a number'), wanted('three numbers, [x, y, yaw]'))
    .length(3, 'must be three numbers, [x, y, yaw]'),
  negate: z
    .union([z.boolean(), z.literal([0, 1])], wanted('0, 1, true or false'))
    .transform(Boolean),
  occupied_thresh: Threshold,
  free_thresh: Threshold,
  mode: z.enum(['trinary', 'scale', 'raw'], wanted('trinary, scale or raw')).default('trinary'),
});

/** The values, or everything that is wrong with them; paths are field names, or empty for the whole text. */
export function parseMapYaml(text: string): { value: MapYaml } | { issues: Issue[] } {
  const document = readYaml(text);
  if ('problem' in document) return { issues: [{ path: '', message: document.problem }] };
  const result = Fields.safeParse(document.data);
  const issues = (result.error?.issues ?? []).map(({ path, message }) => ({
    path: path.join('.'),
    message,
  }));
  issues.push(...thresholdIssues(document.data));
  if (issues.length > 0 || !result.success) return { issues };
  const { image: _, origin, ...values } = result.data;
  return { value: { ...values, origin: origin as MapYaml['origin'] } };
}

function readYaml(text: string): { data: object } | { problem: string } {
  const excess = excessOf(text);
  if (excess) return { problem: excess };
  const { parseDocument } = yamlPackage();
  try {
    const document = parseDocument(text, { prettyErrors: false, logLevel: 'error' });
    const [error] = document.errors;
    if (error)
      return { problem: `is not valid YAML at character ${error.pos[0]}: ${error.message}` };
    const data: unknown = document.toJS({ maxAliasCount: ALIAS_LIMIT });
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return { data };
    return { problem: 'must be a list of keys and values, such as resolution: 0.05' };
  } catch {
    return { problem: 'has more aliases than a map needs, or one without its anchor' };
  }
}

/**
 * Turns away what is no map by far, before it is parsed: on deep nesting the parser runs out of stack, and where a
 * regular expression is compiled just then, that ends the whole process.
 */
function excessOf(text: string): string | undefined {
  if (Buffer.byteLength(text) > MAP_YAML_LIMIT_BYTES) {
    return `must have at most ${MAP_YAML_LIMIT_BYTES / 1024} KiB`;
  }
  if (text.includes('\0')) return 'must not hold a NUL character';
  const { Lexer } = yamlPackage();
  let tokens = 0;
  let openers = 0;
  for (const token of new Lexer().lex(text)) {
    tokens += 1;
    if (OPENERS.has(token)) openers += 1;
    if (tokens > TOKEN_LIMIT || openers > OPENER_LIMIT) return 'is far longer than that of a map';
  }
  return undefined;
}

/** Beside the schema, because that looks at two fields together only when all are right. */
function thresholdIssues(data: object): Issue[] {
  const { occupied_thresh, free_thresh } = data as Record<string, unknown>;
  if (typeof occupied_thresh !== 'number' || typeof free_thresh !== 'number') return [];
  if (free_thresh < occupied_thresh) return [];
  return [{ path: 'free_thresh', message: `must be below occupied_thresh (${occupied_thresh})` }];
}

function number(what: string) {
  return z.number(wanted(what));
}

function wanted(what: string) {
  return {
    error: ({ input }: { input?: unknown }) =>
      input === undefined ? 'is missing' : `must be ${what}`,
  };
}
