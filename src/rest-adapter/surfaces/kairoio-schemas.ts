import { z } from 'zod';
import {
  CreateMessageSchemaInput,
  SchemaId,
  UpdateMessageSchemaInput,
} from '../../contract/messages.js';
import { SchemaInput } from '../../contract/schemas.js';
import { type Row, row } from '../define.js';

const SCHEMA = '/api/v1/schemas/{id}';
const OwnParams = z.object({ id: SchemaId });

export const SCHEMAS: readonly Row[] = [
  row('GET', '/api/v1/schemas', 'schemas.list', {
    summary: 'List what may be POSTed, with an example each; with a bearer token own messages too',
    tag: 'Schemas',
  }),
  row('GET', SCHEMA, 'schemas.get', {
    summary: 'Get the JSON Schema of a request body, with an example',
    tag: 'Schemas',
    params: z.object({ id: SchemaInput.shape.schema_id }),
    input: ({ params }) => ({ schema_id: params.id }),
  }),
  row('POST', '/api/v1/schemas', 'messageSchemas.create', {
    summary: 'Define a kind of message; robots then send it to /messages/{id}',
    tag: 'Schemas',
    body: CreateMessageSchemaInput,
    missing: 'id, title, schema and example are required',
  }),
  row('PUT', SCHEMA, 'messageSchemas.update', {
    summary: 'Change a kind of message for what comes from now on; what is left out stays',
    tag: 'Schemas',
    params: OwnParams,
    body: UpdateMessageSchemaInput.omit({ schema_id: true }),
    input: ({ params, body }) => ({ ...body, schema_id: params.id }),
  }),
  row('DELETE', SCHEMA, 'messageSchemas.delete', {
    summary: 'Delete a kind of message; the messages that are stored stay',
    tag: 'Schemas',
    params: OwnParams,
    input: ({ params }) => ({ schema_id: params.id }),
  }),
];
