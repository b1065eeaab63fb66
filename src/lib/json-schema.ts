import { hash } from 'node:crypto';
import { Ajv, type ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type FormatName, default as formats } from 'ajv-formats';
import { LRUCache } from 'lru-cache';
import { DomainError, type Issue } from './errors.js';
import { judgeSchema } from './json-schema-rules.js';
import { linearRegExp } from './linear-regexp.js';

/** A JSON Schema, ready to judge values. */
export interface CompiledSchema {
  /** What is wrong with `value`, with dotted paths into it; empty when it fits. Stops at the first thing found. */
  validate(value: unknown): Issue[];
}

/**
 * JSON Schemas written by strangers: draft 2020-12, or draft 7 where `$schema` says so. A schema is bounded in size,
 * depth and work, refers to nothing outside of itself and not to itself, and its patterns take linear time.
 */
export interface JsonSchemas {
  /**
   * The same schema again costs next to nothing; what is kept is bounded.
   * @param name how the caller knows the schema; paths of issues begin with it
   * @throws DomainError `invalid_input` saying what is wrong with the schema and where.
   */
  compile(schema: unknown, name?: string): CompiledSchema;
}

const DRAFT_7 = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/;
const DRAFT_2020 = /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;
const FORMATS: FormatName[] = [
  ...(['date', 'time', 'date-time', 'duration', 'email', 'hostname'] as const),
  ...(['ipv4', 'ipv6', 'uri', 'uri-reference', 'uuid', 'json-pointer'] as const),
];
/** By the length of the schemas; what is compiled is larger by a factor. */
const CACHE_CHARACTERS = 2_000_000;
/** An engine keeps parts of whatever it has compiled, so it is replaced after as many schemas. */
const ENGINE_SCHEMAS = 200;

export function createJsonSchemas(): JsonSchemas {
  const cache = new LRUCache<string, CompiledSchema>({ maxSize: CACHE_CHARACTERS });
  let engines: { draft7?: Ajv; draft2020?: Ajv2020; compiled: number } = { compiled: 0 };

  function engineFor(schema: object, name: string): Ajv | Ajv2020 {
    if (engines.compiled === ENGINE_SCHEMAS) engines = { compiled: 0 };
    engines.compiled += 1;
    const draft = '$schema' in schema ? String(schema.$schema) : undefined;
    if (draft === undefined || DRAFT_2020.test(draft)) {
      engines.draft2020 ??= withFormats(new Ajv2020(OPTIONS));
      return engines.draft2020;
    }
    if (DRAFT_7.test(draft)) {
      engines.draft7 ??= withFormats(new Ajv(OPTIONS));
      return engines.draft7;
    }
    throw unsound(name, '$schema', 'must be that of draft 2020-12 or draft 7');
  }

  return {
    compile(schema, name = 'schema') {
      const problem = judgeSchema(schema);
      if (problem) throw unsound(name, problem.path, problem.message);
      const sound = schema as object;
      const text = JSON.stringify(sound);
      const key = hash('sha256', text, 'hex');
      const known = cache.get(key);
      if (known) return known;
      const compiled = compileWith(engineFor(sound, name), sound, name);
      cache.set(key, compiled, { size: text.length });
      return compiled;
    },
  };
}

const OPTIONS = {
  allErrors: false,
  ownProperties: true,
  strictSchema: true,
  strictNumbers: true,
  strictTypes: false,
  strictTuples: false,
  strictRequired: false,
  inlineRefs: false,
  keywords: ['example'],
  logger: false as const,
  code: { regExp: Object.assign(patternOf, { code: 'patternOf' }) },
};

function patternOf(pattern: string) {
  const { test } = linearRegExp(pattern);
  return { test, toString: () => pattern };
}

function withFormats<T extends Ajv | Ajv2020>(engine: T): T {
  formats.default(engine as Ajv, { mode: 'fast', formats: FORMATS });
  return engine;
}

function compileWith(engine: Ajv | Ajv2020, schema: object, name: string): CompiledSchema {
  try {
    if (!engine.validateSchema(schema)) {
      const [error] = engine.errors ?? [];
      throw unsound(name, pathOf(error), sentenceOf(error));
    }
    const validate = engine.compile(schema);
    return {
      validate(value) {
        if (validate(value)) return [];
        const [error] = validate.errors ?? [];
        return [{ path: pathOf(error), message: sentenceOf(error) }];
      },
    };
  } catch (error) {
    if (error instanceof DomainError) throw error;
    throw unsound(name, '', (error as Error).message);
  } finally {
    engine.removeSchema(schema);
  }
}

function unsound(name: string, path: string, message: string): DomainError {
  const where = path === '' ? name : `${name}.${path}`;
  return new DomainError('invalid_input', `${where}: ${message}`, {
    issues: [{ path: where, message }],
  });
}

function pathOf(error: ErrorObject | undefined): string {
  return (error?.instancePath ?? '')
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.');
}

function sentenceOf(error: ErrorObject | undefined): string {
  const { keyword, params = {}, message = 'is not valid' } = error ?? {};
  switch (keyword) {
    case 'additionalProperties':
      return `must not have the property ${JSON.stringify(params.additionalProperty)}`;
    case 'unevaluatedProperties':
      return `must not have the property ${JSON.stringify(params.unevaluatedProperty)}`;
    case 'enum':
      return `must be one of ${params.allowedValues.map((value: unknown) => JSON.stringify(value)).join(', ')}`;
    case 'const':
      return `must be ${JSON.stringify(params.allowedValue)}`;
    default:
      return message.replaceAll('NOT', 'not');
  }
}
