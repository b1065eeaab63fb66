import { parentPort, workerData } from 'node:worker_threads';
import { type Connection, openConnection } from './connection.js';
import { createGroupInsert } from './group-insert.js';
import type { Reply, Request, Statement, StatementResult, ThreadData } from './protocol.js';

const port = parentPort;
if (!port) throw new Error('connection-thread runs as a worker thread only');

const { path, mode } = workerData as ThreadData;
let opened: Connection | undefined;
let insertGroup: ReturnType<typeof createGroupInsert> | undefined;

/** Opened by the first request, so that what is wrong with the file is its answer: a thread's own death tells less. */
function connection(): Connection {
  opened ??= openConnection(path, mode);
  return opened;
}

function execute(request: Request): Extract<Reply, { ok: true }>['value'] {
  switch (request.kind) {
    case 'statement':
      return runStatement(request.sql, request.parameters);
    case 'batch':
      return runBatch(request.statements);
    case 'ingest':
      // Prepared on first use: at start the tables may not exist yet.
      insertGroup ??= createGroupInsert(connection().database);
      return insertGroup(request.group);
    case 'close':
      opened?.database.close();
      return undefined;
  }
}

function runStatement(sql: string, parameters: readonly unknown[]): StatementResult {
  const statement = connection().prepare(sql);
  if (statement.reader) return { rows: statement.all(parameters), changes: 0 };
  return { rows: [], changes: statement.run(parameters).changes };
}

function runBatch(statements: readonly Statement[]): unknown[][] | undefined {
  const cameToNothing = new Error();
  const all = () =>
    statements.map(({ sql, parameters }) => {
      const { rows } = runStatement(sql, parameters);
      if (rows.length === 0) throw cameToNothing;
      return rows;
    });
  try {
    return connection().database.transaction(all).immediate();
  } catch (error) {
    if (error === cameToNothing) return undefined;
    throw error;
  }
}

port.on('message', (request: Request) => {
  let reply: Reply;
  try {
    reply = { id: request.id, ok: true, value: execute(request) };
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    reply = { id: request.id, ok: false, message, code: code ?? '' };
  }
  port.postMessage(reply);
  if (request.kind === 'close') port.close();
});
