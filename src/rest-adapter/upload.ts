import multipart, { type MultipartFile } from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { DomainError } from '../lib/errors.js';
import { createSemaphore } from '../lib/semaphore.js';
import type { Context } from '../routers/context.js';
import { readingBody } from './body.js';

export interface UploadedFile {
  /** As its sender named it. */
  name: string | undefined;
  bytes: Uint8Array;
}

/** The parts of a multipart body that were asked for, in whichever order they came. */
export interface Upload {
  files: Readonly<Record<string, UploadedFile>>;
  fields: Readonly<Record<string, string>>;
}

/** What a row takes as `multipart/form-data`. The content types of its parts are of no matter. */
export interface UploadSpec<Input> {
  /** The documented form of the parts. */
  body: z.ZodType;
  /** File parts by name, and how large each may be; null leaves it to the limit of the whole body. */
  files: Readonly<Record<string, number | null>>;
  fields: readonly string[];
  /** The largest body. */
  limit: (ctx: Context) => { bytes: number; name: string };
  toInput: (upload: Upload) => Input;
}

const FIELD_LIMIT_BYTES = 1_024;
/** Room for parts that mean nothing here. */
const PARTS_LIMIT = 20;
const AT_ONCE = 8;
const WAITING_LIMIT = 64;

/** Makes `scope` leave bodies to `readUpload`. */
export async function acceptUploads(scope: FastifyInstance): Promise<void> {
  scope.removeAllContentTypeParsers();
  await scope.register(multipart);
  scope.addContentTypeParser('*', (_request, _body, done) => done(null));
}

/** Reads the uploads of one row, so many at once that their memory has a bound; others wait with their bodies unread. */
export function createUploadReader(spec: UploadSpec<unknown>) {
  const inLine = createSemaphore(AT_ONCE, WAITING_LIMIT, 'uploads');

  /** @throws DomainError `too_large` naming the limit, `invalid_input` for what is no whole multipart body. */
  return function readUpload(
    request: FastifyRequest,
    reply: FastifyReply,
    ctx: Context,
  ): Promise<Upload> {
    return readingBody(request, reply, () =>
      inLine(() => readWithin(request, spec, spec.limit(ctx))),
    );
  };
}

async function readWithin(
  request: FastifyRequest,
  spec: UploadSpec<unknown>,
  limit: { bytes: number; name: string },
): Promise<Upload> {
  // What is missing is the business of the row.
  if (!request.isMultipart()) return { files: {}, fields: {} };
  // It broke off while it waited in line, and will say so to nobody again.
  if (request.raw.destroyed) throw new DomainError('invalid_input', 'The upload broke off');
  let received = 0;
  let refuse: (reason: DomainError) => void = () => {};
  const overflow = new Promise<never>((_resolve, reject) => {
    refuse = reject;
  });
  function count(chunk: Buffer): void {
    received += chunk.length;
    if (received > limit.bytes) refuse(tooLarge('The upload', limit.bytes, limit.name));
  }
  const reading = readParts(request, spec);
  request.raw.on('data', count);
  try {
    return await Promise.race([reading, overflow]);
  } finally {
    request.raw.off('data', count);
    request.raw.unpipe();
    // What lost the race.
    reading.catch(() => {});
    overflow.catch(() => {});
  }
}

async function readParts(request: FastifyRequest, spec: UploadSpec<unknown>): Promise<Upload> {
  const files: Record<string, UploadedFile> = {};
  const fields: Record<string, string> = {};
  try {
    for await (const part of request.parts({ limits: partLimits(spec) })) {
      const { fieldname: name } = part;
      if (Object.hasOwn(files, name) || Object.hasOwn(fields, name)) {
        throw new DomainError('invalid_input', `${name}: is there twice`);
      }
      if (part.type === 'field') {
        if (spec.fields.includes(name)) fields[name] = fieldText(name, part);
      } else if (Object.hasOwn(spec.files, name)) {
        files[name] = {
          name: part.filename,
          bytes: await readFile(part, spec.files[name] ?? null),
        };
      } else if (spec.fields.includes(name)) {
        fields[name] = Buffer.from(await readFile(part, FIELD_LIMIT_BYTES)).toString();
      } else {
        part.file.resume();
      }
    }
  } catch (error) {
    if (error instanceof DomainError) throw error;
    const reason = (error as Error).message;
    throw new DomainError('invalid_input', `The body is no whole multipart/form-data: ${reason}`);
  }
  return { files, fields };
}

function partLimits({ files, fields }: UploadSpec<unknown>) {
  return {
    parts: PARTS_LIMIT,
    files: Object.keys(files).length + PARTS_LIMIT,
    fields: fields.length + PARTS_LIMIT,
    fieldSize: FIELD_LIMIT_BYTES,
    fileSize: Number.POSITIVE_INFINITY,
  };
}

function fieldText(name: string, part: { value: unknown; valueTruncated: boolean }): string {
  if (part.valueTruncated) throw tooLarge(name, FIELD_LIMIT_BYTES);
  return typeof part.value === 'string' ? part.value : JSON.stringify(part.value);
}

async function readFile(part: MultipartFile, limitBytes: number | null): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of part.file as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (limitBytes !== null && size > limitBytes) throw tooLarge(part.fieldname, limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function tooLarge(what: string, limitBytes: number, limit?: string): DomainError {
  const name = limit === undefined ? '' : ` (${limit})`;
  return new DomainError(
    'too_large',
    `${what} is too large: at most ${limitBytes} bytes${name}`,
    limit === undefined ? {} : { limit },
  );
}
