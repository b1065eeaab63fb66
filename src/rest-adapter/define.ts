import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Principal } from '../contract/access.js';
import type { Context } from '../routers/context.js';
import type { AppRouter } from '../routers/index.js';
import type { DurableReader } from '../services/durable.js';
import type { CameraReader, Frame } from '../services/robot-camera.js';
import type { FileAnswer } from './file.js';
import type { RawSpec } from './raw.js';
import type { UploadSpec } from './upload.js';

type Inputs = inferRouterInputs<AppRouter>;
type Outputs = inferRouterOutputs<AppRouter>;
type Leaves<T> = {
  [Noun in keyof T & string]: {
    [Verb in keyof T[Noun] & string as `${Noun}.${Verb}`]: T[Noun][Verb];
  };
}[keyof T & string];
type Union<T> = (T extends unknown ? (x: T) => void : never) extends (x: infer R) => void
  ? R
  : never;
type InputOf = Union<Leaves<Inputs>>;
type OutputOf = Union<Leaves<Outputs>>;
type ProcedureOf = Union<Leaves<AppRouter['_def']['record']>>;
/** What a procedure's service function returns, before it becomes JSON. */
type RawOutputOf<P extends ProcedurePath> = ProcedureOf[P]['_def']['$types']['output'];

/** `robots.register`, … */
export type ProcedurePath = keyof InputOf & keyof OutputOf & string;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A list too long to hold in memory: its elements come as pages of JSON text. */
export interface JsonStream {
  /** The members of the answer beside the list and its `count`. */
  head: Record<string, unknown>;
  list: string;
  pages: AsyncIterable<{ count: number; elements: string }>;
}

/** Data that is JSON text already, and goes out to the letter. */
export class JsonText {
  readonly json: string;
  constructor(json: string) {
    this.json = json;
  }
}

/** What a row with its own handler gets: parameters and query are validated, the body is not even parsed. */
export interface DirectCall<Params, Query> {
  ctx: Context;
  principal: Principal;
  params: Params;
  query: Query;
  /** The body as it came; empty without one. */
  bytes: Buffer;
}

/** One message of an event stream; one without any member says nothing to the client. */
export interface SseMessage {
  /** Where a client that lost its connection goes on: it comes back as `reader.cursor`. */
  id?: string | undefined;
  event?: string | undefined;
  data?: string | undefined;
  /** Milliseconds after which the client comes back when its connection is lost. */
  retry?: number | undefined;
}

/** What the handler of an event stream gets beside the rest. */
export interface SseCall<Params, Query> extends DirectCall<Params, Query> {
  /** Who reads, over which connection, from where on; all robots that the caller may see. */
  reader: DurableReader;
}

/** What the handler of a stream of pictures gets beside the rest. */
export interface MjpegCall<Params, Query> extends DirectCall<Params, Query> {
  reader: CameraReader;
}

/** One line of a documented API: a method and a path, the procedure behind it, and how the two shapes meet. */
export interface Row {
  method: Method;
  /** In OpenAPI's form: `/api/v1/robots/{robotId}`. */
  path: string;
  procedure: ProcedurePath;
  summary: string;
  tag: string;
  params?: z.ZodType | undefined;
  query?: z.ZodType | undefined;
  body?: z.ZodType | undefined;
  /** The documented shape of the answer's data; by default the procedure's output. */
  data?: z.ZodType | undefined;
  /** One sentence for a body whose required members are missing or empty. */
  missing?: string | undefined;
  requestHeaders?: z.ZodType | undefined;
  /** How long the answer may be silent, where that is longer than the server's own limit. */
  patienceMs?: number | undefined;
  toInput: (parts: { params: unknown; query: unknown; body: unknown; headers: unknown }) => unknown;
  toData: (output: unknown) => unknown;
  toHeaders: (output: unknown) => Record<string, string>;
  direct?: ((call: DirectCall<never, never>) => Promise<unknown>) | undefined;
  stream?: ((call: DirectCall<never, never>) => Promise<JsonStream>) | undefined;
  sse?: ((call: SseCall<never, never>) => AsyncIterable<SseMessage>) | undefined;
  upload?: UploadSpec<unknown> | undefined;
  raw?: RawSpec<never, never, unknown, never> | undefined;
  mjpeg?: ((call: MjpegCall<never, never>) => Promise<AsyncIterable<Frame>>) | undefined;
  file?: FileSpec<never, never> | undefined;
  text?: TextSpec<never, never> | undefined;
  /** For what browsers load without headers: `?token=` and `?ticket=` are credentials too. */
  urlCredential?: boolean | undefined;
  /** Its name in the OpenAPI document, where that of the procedure is another row's. */
  operation?: string | undefined;
}

/** What a row answers with when that is no JSON. */
export interface FileSpec<Params, Query> {
  /** The content types that it may have. */
  types: readonly string[];
  open: (call: DirectCall<Params, Query>) => Promise<FileAnswer>;
}

/** What a row answers with when that is a text too long to hold in memory, to be saved as a file. */
export interface TextSpec<Params, Query> {
  type: string;
  fileName: string;
  /** The text in pieces; the first is waited for before the answer begins. */
  open: (call: DirectCall<Params, Query>) => Promise<AsyncIterable<string>>;
}

interface RowSpec<
  P extends ProcedurePath,
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  RequestHeaders extends z.ZodType,
> {
  summary: string;
  tag: string;
  params?: Params;
  query?: Query;
  body?: Body;
  data?: z.ZodType;
  missing?: string;
  requestHeaders?: RequestHeaders;
  patienceMs?: number;
  /** By default path parameters (in snake_case), query and body together. The body is valid, and as it was sent. */
  input?: (parts: {
    params: z.output<Params>;
    query: z.output<Query>;
    body: z.input<Body>;
    headers: z.output<RequestHeaders>;
  }) => InputOf[P];
  output?: (output: OutputOf[P]) => unknown;
  /** What of the output has no place in the documented body. */
  headers?: (output: OutputOf[P]) => Record<string, string>;
  /** For the hot path: the procedure's own service function, without the procedure around it. */
  direct?: (
    call: DirectCall<z.output<Params>, z.output<Query>>,
  ) => Promise<RawOutputOf<P> | JsonText>;
  /** For answers without a bound. */
  stream?: (call: DirectCall<z.output<Params>, z.output<Query>>) => Promise<JsonStream>;
  /**
   * For event streams; `data` is then what the JSON of a message's `data` says. The first message is waited for before
   * the answer begins, so that what fails at once is answered like any other failure: one that has nothing to say
   * yet yields `{}`. The next one is asked for when the connection has taken the last.
   */
  sse?: (call: SseCall<z.output<Params>, z.output<Query>>) => AsyncIterable<SseMessage>;
  /** For bodies in several parts, which are not held to the limit of the others. */
  upload?: UploadSpec<InputOf[P]>;
  /** For bodies and answers that are no JSON. */
  raw?: RawSpec<z.output<Params>, z.output<Query>, InputOf[P], OutputOf[P]>;
  /** For one picture after the other; what fails before the first is answered like any other failure. */
  mjpeg?: (call: MjpegCall<z.output<Params>, z.output<Query>>) => Promise<AsyncIterable<Frame>>;
  file?: FileSpec<z.output<Params>, z.output<Query>>;
  text?: TextSpec<z.output<Params>, z.output<Query>>;
  urlCredential?: boolean;
  operation?: string;
}

/** Writes a row with all its types checked against the procedure. */
export function row<
  P extends ProcedurePath,
  Params extends z.ZodType = z.ZodNever,
  Query extends z.ZodType = z.ZodNever,
  Body extends z.ZodType = z.ZodNever,
  RequestHeaders extends z.ZodType = z.ZodNever,
>(
  method: Method,
  path: string,
  procedure: P,
  spec: RowSpec<P, Params, Query, Body, RequestHeaders>,
): Row {
  const { input, output, headers, ...rest } = spec;
  return {
    method,
    path,
    procedure,
    ...rest,
    toInput: (input as Row['toInput'] | undefined) ?? merge,
    toData: (output as Row['toData'] | undefined) ?? ((data) => data),
    toHeaders: (headers as Row['toHeaders'] | undefined) ?? (() => ({})),
  };
}

function merge({ params, query, body }: { params: unknown; query: unknown; body: unknown }) {
  return { ...(query as object), ...(body as object), ...named(params) };
}

/** Path parameters under the names of input fields: `robotId` is `robot_id`. */
export function named(params: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(params ?? {}).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
}

/** One documented API: its rows, and the envelope it wraps success and failure in. */
export interface Surface {
  name: string;
  rows: readonly Row[];
  /** Paths that are its own where no row is, too: what goes wrong there takes its shape. */
  owns?: RegExp;
  success: (data: unknown) => unknown;
  failure: (failure: Failure) => unknown;
  /** The documented forms of both envelopes. */
  successSchema: (data: z.ZodType) => z.ZodType;
  failureSchema: z.ZodType;
}

/** What went wrong, in the terms of no API in particular. */
export interface Failure {
  status: number;
  code: string;
  message: string;
  limit?: string | undefined;
  issues?: readonly { path: string; message: string }[] | undefined;
}

export type CreateContext = (request: FastifyRequest) => Context;
