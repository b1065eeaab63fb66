import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer, TestApp } from './app.js';

export const mapFixture = (name: string) =>
  readFileSync(join(import.meta.dirname, '../fixtures/maps', name));

export const MAP_YAML = mapFixture('map.yaml').toString();

/** A binary PGM of random grey. */
export function randomPgm(width: number, height: number): Buffer {
  const pixels = Buffer.alloc(width * height);
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = Math.floor(Math.random() * 256);
  return Buffer.concat([Buffer.from(`P5 ${width} ${height} 255\n`), pixels]);
}

export interface MapParts {
  yaml?: string | Buffer | undefined;
  pgm?: Buffer | undefined;
  name?: string | undefined;
  robot_id?: string | undefined;
}

/** The form of an upload; what is given as undefined is left out. */
export function mapForm(parts: MapParts = {}): FormData {
  const { yaml, pgm, name, robot_id } = {
    ...{ yaml: MAP_YAML, pgm: mapFixture('binary.pgm'), name: 'office.pgm' },
    ...parts,
  };
  const form = new FormData();
  if (robot_id !== undefined) form.append('robot_id', robot_id);
  if (pgm) form.append('pgm', new Blob([Uint8Array.from(pgm)]), name);
  if (yaml !== undefined) form.append('yaml', new Blob([yaml as string]), 'map.yaml');
  return form;
}

/** Uploads a form as the admin unless `token` says otherwise. */
export async function upload(
  app: TestApp,
  form: FormData = mapForm(),
  token: string = app.admin.token,
): Promise<Answer> {
  const response = await fetch(`${app.url}/api/v1/map/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: form,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) };
}
