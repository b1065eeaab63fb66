import { z } from 'zod';
import type { Principal } from '../contract/access.js';
import {
  BUILT_IN_SCHEMAS,
  type BuiltInSchema,
  EXAMPLE_ROBOT_ID,
  type SchemaDocument,
  type SchemaSummary,
} from '../contract/schemas.js';
import { DomainError } from '../lib/errors.js';
import type { Fleet } from './fleet.js';
import { type MessageSchemas, messageEndpoint, schemaNotFound } from './message-schemas.js';

/**
 * What may be POSTed, described for programs that know nothing else. Everybody sees the requests of the fleet API; a
 * caller who is known sees the account's own messages too.
 */
export interface Schemas {
  /** By id: a program that makes the requests in this order, each with its example, has none refused. */
  list(principal: Principal | null): Promise<SchemaSummary[]>;
  /** JSON Schema with a valid `example`. @throws DomainError `not_found`. */
  get(principal: Principal | null, id: string): Promise<SchemaDocument>;
}

export interface SchemasDeps {
  fleet: Pick<Fleet, 'owned'>;
  messageSchemas: MessageSchemas;
}

export function createSchemas({ fleet, messageSchemas }: SchemasDeps): Schemas {
  /** Robot ids are unique among all accounts, and somebody else may have tried the example already. */
  async function exampleRobotOf(principal: Principal | null): Promise<string> {
    if (!principal) return EXAMPLE_ROBOT_ID;
    if (principal.robot_id !== null) return principal.robot_id;
    try {
      await fleet.owned(principal, EXAMPLE_ROBOT_ID);
    } catch (error) {
      const taken = error instanceof DomainError && error.code === 'forbidden';
      if (taken) return `${EXAMPLE_ROBOT_ID}.${principal.account_id}`;
      if (!(error instanceof DomainError)) throw error;
    }
    return EXAMPLE_ROBOT_ID;
  }

  return {
    async list(principal) {
      const robotId = await exampleRobotOf(principal);
      const own = principal ? await messageSchemas.list(principal) : [];
      const summaries = [
        ...BUILT_IN_SCHEMAS.map((schema) => summaryOf(schema, robotId)),
        ...own.map(({ id, title, example }): SchemaSummary => {
          const endpoint = messageEndpoint(id);
          const path_parameters = { robot_id: robotId };
          return { id, title, method: 'POST', endpoint, path_parameters, built_in: false, example };
        }),
      ];
      return summaries.sort((a, b) => (a.id < b.id ? -1 : 1));
    },

    async get(principal, id) {
      const builtIn = BUILT_IN_SCHEMAS.find((schema) => schema.id === id);
      if (builtIn) return documentOf(builtIn, await exampleRobotOf(principal));
      const own = principal && (await messageSchemas.find(principal, id));
      if (!own) throw schemaNotFound();
      return { title: own.title, ...own.schema, example: own.example };
    },
  };
}

function summaryOf(schema: BuiltInSchema, robotId: string): SchemaSummary {
  const { id, title, endpoint } = schema;
  return {
    id,
    title,
    method: 'POST',
    endpoint,
    path_parameters: endpoint.includes('{robot_id}') ? { robot_id: robotId } : {},
    built_in: true,
    example: exampleFor(schema, robotId),
  };
}

function documentOf(schema: BuiltInSchema, robotId: string): SchemaDocument {
  const { $schema, ...rest } = z.toJSONSchema(schema.body, { io: 'input' });
  return { $schema, title: schema.title, ...rest, example: exampleFor(schema, robotId) };
}

function exampleFor({ example }: BuiltInSchema, robotId: string): Record<string, unknown> {
  return 'robot_id' in example ? { ...example, robot_id: robotId } : example;
}
