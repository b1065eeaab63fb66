import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Principal } from '../contract/access.js';
import type { Context } from '../routers/context.js';
import type { AppRouter } from '../routers/index.js';

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

/** What a row with its own handler gets: parameters and query are validated, the body is not. */
export interface DirectCall<Params, Query> {
  ctx: Context;
  principal: Principal;
  params: Params;
  query: Query;
  body: unknown;
  /** The body as it was written. */
  bodyText: string;
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
  toInput: (parts: { params: unknown; query: unknown; body: unknown }) => unknown;
  toData: (output: unknown) => unknown;
  direct?: ((call: DirectCall<never, never>) => Promise<unknown>) | undefined;
  stream?: ((call: DirectCall<never, never>) => Promise<JsonStream>) | undefined;
}

interface RowSpec<
  P extends ProcedurePath,
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
> {
  summary: string;
  tag: string;
  params?: Params;
  query?: Query;
  body?: Body;
  data?: z.ZodType;
  missing?: string;
  /** By default path parameters (in snake_case), query and body together. The body is valid, and as it was sent. */
  input?: (parts: {
    params: z.output<Params>;
    query: z.output<Query>;
    body: z.input<Body>;
  }) => InputOf[P];
  output?: (output: OutputOf[P]) => unknown;
  /** For the hot path: the procedure's own service function, without the procedure around it. */
  direct?: (
    call: DirectCall<z.output<Params>, z.output<Query>>,
  ) => Promise<RawOutputOf<P> | JsonText>;
  /** For answers without a bound. */
  stream?: (call: DirectCall<z.output<Params>, z.output<Query>>) => Promise<JsonStream>;
}

/** Writes a row with all its types checked against the procedure. */
export function row<
  P extends ProcedurePath,
  Params extends z.ZodType = z.ZodNever,
  Query extends z.ZodType = z.ZodNever,
  Body extends z.ZodType = z.ZodNever,
>(method: Method, path: string, procedure: P, spec: RowSpec<P, Params, Query, Body>): Row {
  const { input, output, ...rest } = spec;
  return {
    method,
    path,
    procedure,
    ...rest,
    toInput: (input as Row['toInput'] | undefined) ?? merge,
    toData: (output as Row['toData'] | undefined) ?? ((data) => data),
  };
}

function merge({ params, query, body }: { params: unknown; query: unknown; body: unknown }) {
  const named = Object.entries((params ?? {}) as object).map(([key, value]) => [
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return { ...(query as object), ...(body as object), ...Object.fromEntries(named) };
}

/** One documented API: its rows, and the envelope it wraps success and failure in. */
export interface Surface {
  name: string;
  rows: readonly Row[];
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
