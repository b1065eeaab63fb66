import { getUntypedClient } from '@trpc/client';
import type { Row } from '../../src/rest-adapter/define.js';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';
import type { TestApp } from './app.js';
import { expectFailure, pathOf } from './rest.js';
import { connect, type Reply, replyOf } from './trpc-client.js';

export type Fields = Record<string, unknown>;

/**
 * Does what a line of the contract says, such as `POST /api/v1/robots/{robotId}/status`. `fields` are its body, or its query
 * when it is a GET; `params` stand in its path.
 */
export type Call = (
  line: string,
  fields?: Fields,
  params?: Record<string, string>,
) => Promise<Reply>;

/** The two doors, which answer alike: `data` is what REST has in its envelope. Null is nobody. */
export const contractDoors: [
  'REST' | 'tRPC',
  (app: () => TestApp, token?: string | null) => Call,
][] = [
  ['REST', restDoor],
  ['tRPC', trpcDoor],
];

/** The row of a line of the contract. @throws when there is none. */
export function rowOf(line: string): Row {
  const found = kairoio.rows.find(({ method, path }) => `${method} ${path}` === line);
  if (!found) throw new Error(`There is no row ${line}`);
  return found;
}

export function restDoor(app: () => TestApp, token?: string | null): Call {
  return async (line, fields, params = {}) => {
    const [method = '', path = ''] = line.split(' ');
    const isQuery = method === 'GET';
    const given = Object.entries(fields ?? {}).map(([name, value]): [string, string] => [
      name,
      `${value}`,
    ]);
    const search = isQuery && fields ? `?${new URLSearchParams(given)}` : '';
    const where = pathOf({ path }, params) + search;
    const answer = await app().call(method, where, isQuery ? undefined : fields, token);
    const { status, json } = answer;
    if (status === 200) {
      if (json.success !== true || Object.keys(json).join() !== 'success,data') {
        throw new Error(`${line} answers in another envelope: ${answer.text}`);
      }
      return { status, data: json.data };
    }
    expectFailure(answer, status);
    return { status, error: json.error };
  };
}

/** The parameters that the path of a line has. */
function paramsOf(line: string, params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).filter(([name]) => line.includes(`{${name}}`)));
}

/** The procedure behind the line, called by the library's own client. */
export function trpcDoor(app: () => TestApp, token?: string | null): Call {
  return async (line, fields, params = {}) => {
    const row = rowOf(line);
    const client = getUntypedClient(
      connect(app(), token === undefined ? app().admin.token : (token ?? '')),
    );
    const isQuery = row.method === 'GET';
    const input = row.toInput({
      ...{ params: paramsOf(line, params), headers: {} },
      ...(isQuery ? { query: fields ?? {}, body: undefined } : { query: undefined, body: fields }),
    });
    const reply = await replyOf(
      isQuery ? client.query(row.procedure, input) : client.mutation(row.procedure, input),
    );
    return reply.status === 200 ? { ...reply, data: row.toData(reply.data) } : reply;
  };
}
