import type { UploadMapInput } from '../contract/maps.js';
import { DomainError, type Issue } from '../lib/errors.js';
import { inTurns, sha256 } from '../lib/in-turns.js';
import { type MapYaml, parseMapYaml } from '../lib/map-yaml.js';
import { PgmError, type PgmHeader, readPgmHeader } from '../lib/pgm.js';
import { checkSamples } from '../lib/pgm-samples.js';

/** An upload that was found to be a map. */
export interface CheckedMap {
  yaml: MapYaml;
  image: PgmHeader;
  pgm: Uint8Array;
  pgm_sha256: string;
  name: string;
}

const NAME_LIMIT = 200;

/** @throws DomainError `invalid_input` with everything that is wrong with either part. */
export async function checkMap(input: UploadMapInput, pixelLimit: number): Promise<CheckedMap> {
  const yaml = parseMapYaml(input.yaml);
  const yamlIssues = 'issues' in yaml ? yaml.issues.map(inYaml) : [];
  const pgm = typeof input.pgm === 'string' ? fromBase64(input.pgm) : input.pgm;
  const image = pgm ? await describePgm(pgm, pixelLimit) : 'must be in base64';
  const pgmIssues = typeof image === 'string' ? [{ path: 'pgm', message: image }] : [];
  if (!pgm || 'issues' in yaml || typeof image === 'string') {
    const sentence = yamlIssues.length > 0 ? 'Invalid YAML format' : `pgm ${pgmIssues[0]?.message}`;
    throw new DomainError('invalid_input', sentence, { issues: [...yamlIssues, ...pgmIssues] });
  }
  return {
    yaml: yaml.value,
    image,
    pgm,
    pgm_sha256: await inTurns(sha256(pgm)),
    name: mapName(input.file_name),
  };
}

function inYaml({ path, message }: Issue): Issue {
  return { path: path === '' ? 'yaml' : `yaml.${path}`, message };
}

/** The header of an image that is right to its last sample, or what is wrong with it. */
async function describePgm(pgm: Uint8Array, pixelLimit: number): Promise<PgmHeader | string> {
  try {
    const header = readPgmHeader(pgm, pixelLimit);
    await inTurns(checkSamples(pgm, header));
    return header;
  } catch (error) {
    if (error instanceof PgmError) return error.message;
    throw error;
  }
}

/** Undefined for text that is not base64; Node itself leaves out what it does not know. */
function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  const characters = text.replace(/={1,2}$/, '').length;
  return Math.ceil((bytes.length * 4) / 3) === characters ? bytes : undefined;
}

/** The image file's own name without its folders and its ending. */
function mapName(fileName = ''): string {
  const file = fileName.split(/[/\\]/).at(-1) ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
  const name = file.replace(/\.[^.]*$/, '').replace(/[\u0000-\u001f\u007f-\u009f]/g, '');
  return Array.from(name.trim()).slice(0, NAME_LIMIT).join('') || 'map';
}
