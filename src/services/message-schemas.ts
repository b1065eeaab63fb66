import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import type { Principal } from '../contract/access.js';
import {
  type CreateMessageSchemaInput,
  SchemaId,
  type UpdateMessageSchemaInput,
} from '../contract/messages.js';
import { BUILT_IN_SCHEMAS } from '../contract/schemas.js';
import type { Db } from '../db/client.js';
import { lockAccount } from '../db/repositories/accounts.js';
import {
  countMessageSchemas,
  deleteMessageSchema,
  findMessageSchema,
  insertMessageSchema,
  listMessageSchemas,
  type MessageSchemaRow,
  updateMessageSchema,
} from '../db/repositories/message-schemas.js';
import type { Clock } from '../lib/clock.js';
import { DomainError, type Issue } from '../lib/errors.js';
import type { CompiledSchema, JsonSchemas } from '../lib/json-schema.js';

const SCHEMAS_PER_ACCOUNT = 100;
/** Of the schema and of its example, each. */
const TEXT_LIMIT_BYTES = 65_536;
/** By the length of the schemas; what is compiled is larger by a factor. */
const CACHE_CHARACTERS = 2_000_000;

type JsonObject = Record<string, unknown>;

/** A kind of message that an account defined; times are milliseconds since the epoch. */
export interface MessageSchemaRecord {
  id: string;
  title: string;
  schema: JsonObject;
  example: JsonObject;
  created_at: number;
  updated_at: number;
}

/** The kinds of message that accounts define for their robots. Another account's are `not_found`. */
export interface MessageSchemas {
  /**
   * Defining the same once more changes nothing.
   * @throws DomainError `conflict` when the id has another meaning already; `invalid_input` for a schema that is none or
   * an example it does not take; `forbidden` for one schema too many.
   */
  create(principal: Principal, input: CreateMessageSchemaInput): Promise<MessageSchemaRecord>;
  /**
   * What is left out stays as it is. Messages that are stored already are not judged again.
   * @throws DomainError `not_found`; `forbidden` for a built-in one; `invalid_input` as for create; `conflict` when
   * somebody else changed it meanwhile.
   */
  update(principal: Principal, input: UpdateMessageSchemaInput): Promise<MessageSchemaRecord>;
  /** The messages that were stored under it stay. @throws DomainError `not_found`, `forbidden` as for update. */
  delete(principal: Principal, id: string): Promise<void>;
  /** All of the account's, by id. */
  list(principal: Principal): Promise<MessageSchemaRecord[]>;
  /** Undefined for what can be no id, too. */
  find(principal: Principal, id: string): Promise<MessageSchemaRecord | undefined>;
  /**
   * Judges a message by the schema as it is now.
   * @throws DomainError `not_found`, or `invalid_input` with an issue for each path that is wrong.
   */
  assertValid(principal: Principal, id: string, payload: JsonObject): Promise<void>;
}

export interface MessageSchemasDeps {
  db: Db;
  clock: Clock;
  /** Called when the first schema is to be compiled. */
  jsonSchemas: () => Promise<JsonSchemas>;
}

export function createMessageSchemas(deps: MessageSchemasDeps): MessageSchemas {
  const { db, clock, jsonSchemas } = deps;
  const compiled = new LRUCache<string, CompiledSchema>({
    maxSize: CACHE_CHARACTERS,
    sizeCalculation: (_schema, text) => text.length,
  });

  /** The text is as it is stored; robots send thousands of messages under one schema. */
  async function compile(text: string): Promise<CompiledSchema> {
    const known = compiled.get(text);
    if (known) return known;
    const schema = (await jsonSchemas()).compile(JSON.parse(text));
    compiled.set(text, schema);
    return schema;
  }
  /** @throws DomainError `invalid_input` naming what is wrong in the schema or the example. */
  async function assertSound(schema: JsonObject, example: JsonObject): Promise<void> {
    const issues = (await jsonSchemas()).compile(schema).validate(example);
    if (issues.length > 0) throw refusal('example', 'The example does not fit the schema', issues);
  }

  return {
    async create(principal, { id, title, schema, example }) {
      if (isBuiltIn(id)) {
        throw new DomainError('conflict', `${id} is a built-in schema; take another id`);
      }
      const texts = { schema: textOf('schema', schema), example: textOf('example', example) };
      await assertSound(schema, example);
      const now = clock.now();
      const { account_id } = principal;
      const row = { account_id, id, title, ...texts, created_at: now, updated_at: now };
      const known = await db.transaction().execute(async (tx) => {
        await lockAccount(tx, account_id);
        const present = await findMessageSchema(tx, account_id, id);
        if (present) return present;
        if ((await countMessageSchemas(tx, account_id)) >= SCHEMAS_PER_ACCOUNT) throw tooMany();
        await insertMessageSchema(tx, row);
        return undefined;
      });
      if (!known) return recordOf(row);
      const record = recordOf(known);
      if (isDeepStrictEqual(meaningOf(record), meaningOf(recordOf(row)))) return record;
      throw new DomainError(
        'conflict',
        `There is a schema ${id} already; PUT /api/v1/schemas/${id} changes it`,
      );
    },

    async update(principal, { schema_id: id, ...changes }) {
      assertChangeable(id);
      const row = await findMessageSchema(db, principal.account_id, id);
      if (!row) throw schemaNotFound();
      const { title, schema, example } = { ...recordOf(row), ...defined(changes) };
      const texts = { schema: textOf('schema', schema), example: textOf('example', example) };
      await assertSound(schema, example);
      const changed = await updateMessageSchema(db, row, {
        title,
        ...texts,
        updated_at: clock.now(),
      });
      if (changed) return recordOf(changed);
      throw new DomainError(
        'conflict',
        'Somebody else changed this schema just now; read it again',
      );
    },

    async delete(principal, id) {
      assertChangeable(id);
      if (!(await deleteMessageSchema(db, principal.account_id, id))) throw schemaNotFound();
    },

    async list(principal) {
      return (await listMessageSchemas(db, principal.account_id)).map(recordOf);
    },

    async find(principal, id) {
      if (!SchemaId.safeParse(id).success) return undefined;
      const row = await findMessageSchema(db, principal.account_id, id);
      return row && recordOf(row);
    },

    async assertValid(principal, id, payload) {
      const row = await findMessageSchema(db, principal.account_id, id);
      if (!row) throw schemaNotFound();
      const schema = await compile(row.schema);
      const issues = schema.validate(payload);
      if (issues.length > 0) throw refusal('', `The message does not fit the schema ${id}`, issues);
    },
  };
}

function recordOf({
  account_id: _,
  schema,
  example,
  ...row
}: MessageSchemaRow): MessageSchemaRecord {
  return { ...row, schema: JSON.parse(schema), example: JSON.parse(example) };
}

function meaningOf({ title, schema, example }: MessageSchemaRecord) {
  return { title, schema, example };
}

/** @throws DomainError `too_large`. */
function textOf(field: string, value: JsonObject): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) <= TEXT_LIMIT_BYTES) return text;
  throw new DomainError('too_large', `${field}: must not be larger than 64 KiB of JSON`, {
    limit: 'message_schema_bytes',
  });
}

/** Without the members that are undefined: they would hide what is there. */
function defined<T extends object>(changes: T) {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function isBuiltIn(id: string): boolean {
  return BUILT_IN_SCHEMAS.some((schema) => schema.id === id);
}

function assertChangeable(id: string): void {
  if (isBuiltIn(id)) throw new DomainError('forbidden', "A built-in schema can't be changed");
}

/** What is wrong, in one sentence and as issues below `root`. */
function refusal(root: string, sentence: string, issues: readonly Issue[]): DomainError {
  const placed = issues.map(({ path, message }) => ({
    path: [root, path].filter(Boolean).join('.'),
    message,
  }));
  const named = placed.map(({ path, message }) => `${path} ${message}`.trim());
  return new DomainError('invalid_input', `${sentence}: ${named.join('; ')}`, { issues: placed });
}

export function schemaNotFound(): DomainError {
  return new DomainError('not_found', 'Schema not found');
}

function tooMany(): DomainError {
  return new DomainError(
    'forbidden',
    `An account has at most ${SCHEMAS_PER_ACCOUNT} schemas; delete one first`,
    { limit: 'message_schemas_per_account' },
  );
}

/** Where robots send a message of this kind to. */
export function messageEndpoint(id: string): string {
  return `/api/v1/robots/{robot_id}/messages/${id}`;
}
