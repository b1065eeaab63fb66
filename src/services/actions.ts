import { randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type { Action, CreateActionInput, UpdateActionInput } from '../contract/actions.js';
import { toInstant } from '../contract/common.js';
import type { Db } from '../db/client.js';
import { isUniqueViolation } from '../db/errors.js';
import { lockAccount } from '../db/repositories/accounts.js';
import {
  type ActionRow,
  actionExists,
  countActions,
  deleteAction,
  findAction,
  insertAction,
  listActions,
  updateAction,
} from '../db/repositories/actions.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { JsonSchemas } from '../lib/json-schema.js';
import { BUILT_IN_ACTIONS } from './built-in-actions.js';

/** What robots can be told to do: some things are known to all, others an account adds for its own. */
export interface Actions {
  /** The account's own, by name. */
  own(principal: Principal): Promise<Action[]>;
  /** Those, after the built-in ones. */
  all(principal: Principal): Promise<Action[]>;
  /** @throws DomainError `not_found`; `forbidden` for one of another account. */
  get(principal: Principal, actionId: string): Promise<Action>;
  /**
   * @throws DomainError `conflict` when there is one of this name, `invalid_input` naming what is wrong in the schema,
   * `forbidden` when the account has too many.
   */
  create(principal: Principal, input: CreateActionInput): Promise<Action>;
  /** What is left out stays as it is. @throws DomainError as get and create; `forbidden` for a built-in one too. */
  update(principal: Principal, input: UpdateActionInput): Promise<Action>;
  /** Commands of it that are under way stay. @throws DomainError as get; `forbidden` for a built-in one too. */
  delete(principal: Principal, actionId: string): Promise<void>;
  /**
   * Whether a robot of this type may be told this.
   * @throws DomainError `invalid_input` for an action that is not known, is not for such robots, or whose schema the
   * parameters do not fit, with an issue for what is wrong.
   */
  assertFits(
    principal: Principal,
    robotType: string,
    call: { action: string; parameters: Record<string, unknown> },
  ): Promise<void>;
}

export interface ActionsDeps {
  db: Db;
  clock: Clock;
  /** Called when the first schema is to be compiled. */
  jsonSchemas: () => Promise<JsonSchemas>;
}

const ACTIONS_PER_ACCOUNT = 500;

export function createActions({ db, clock, jsonSchemas }: ActionsDeps): Actions {
  async function assertSchema(schema: Record<string, unknown> | null | undefined): Promise<void> {
    if (!schema) return;
    (await jsonSchemas()).compile(schema, 'parameters_schema');
    const { type = 'object' } = schema;
    if (type === 'object' || (Array.isArray(type) && type.includes('object'))) return;
    const message = 'must be "object", because parameters are one';
    throw new DomainError('invalid_input', `parameters_schema.type: ${message}`, {
      issues: [{ path: 'parameters_schema.type', message }],
    });
  }

  async function own(principal: Principal): Promise<Action[]> {
    return (await listActions(db, principal.account_id, ACTIONS_PER_ACCOUNT)).map(toWire);
  }

  async function get({ account_id }: Principal, id: string): Promise<Action> {
    const builtIn = BUILT_IN_ACTIONS.get(id);
    if (builtIn) return builtIn;
    const row = await findAction(db, account_id, { id });
    if (!row) throw await missing(id);
    return toWire(row);
  }

  /** Why the account has no action of this id, in the words that robots are refused with. */
  async function missing(id: string): Promise<DomainError> {
    return (await actionExists(db, id))
      ? new DomainError('forbidden', 'Access denied')
      : new DomainError('not_found', 'Action not found');
  }

  return {
    own,
    get,
    all: async (principal) => [...BUILT_IN_ACTIONS.values(), ...(await own(principal))],
    async create({ account_id }, { name, description, robot_types, parameters_schema }) {
      if (BUILT_IN_ACTIONS.has(name)) throw nameTaken(name);
      await assertSchema(parameters_schema);
      const now = clock.now();
      const row: ActionRow = {
        id: randomUUID(),
        account_id,
        name,
        description: description ?? null,
        robot_types: jsonOrNull(robot_types),
        parameters_schema: jsonOrNull(parameters_schema),
        created_at: now,
        updated_at: now,
      };
      await db.transaction().execute(async (tx) => {
        await lockAccount(tx, account_id);
        if ((await countActions(tx, account_id)) >= ACTIONS_PER_ACCOUNT) throw tooMany();
        if (!(await insertAction(tx, row))) throw nameTaken(name);
      });
      return toWire(row);
    },
    async update({ account_id }, { action_id, ...changes }) {
      if (BUILT_IN_ACTIONS.has(action_id)) throw isBuiltIn(action_id);
      const { name, description, robot_types, parameters_schema } = changes;
      await assertSchema(parameters_schema);
      if (name !== undefined && BUILT_IN_ACTIONS.has(name)) throw nameTaken(name);
      try {
        const row = await updateAction(db, account_id, action_id, {
          ...(name !== undefined && { name }),
          ...(description !== undefined && { description }),
          ...(robot_types !== undefined && { robot_types: jsonOrNull(robot_types) }),
          ...(parameters_schema !== undefined && {
            parameters_schema: jsonOrNull(parameters_schema),
          }),
          updated_at: clock.now(),
        });
        if (!row) throw await missing(action_id);
        return toWire(row);
      } catch (error) {
        if (name !== undefined && isUniqueViolation(error)) throw nameTaken(name);
        throw error;
      }
    },
    async delete({ account_id }, actionId) {
      if (BUILT_IN_ACTIONS.has(actionId)) throw isBuiltIn(actionId);
      if (!(await deleteAction(db, account_id, actionId))) throw await missing(actionId);
    },
    async assertFits({ account_id }, robotType, { action: name, parameters }) {
      const row = BUILT_IN_ACTIONS.has(name)
        ? undefined
        : await findAction(db, account_id, { name });
      const action = row ? toWire(row) : BUILT_IN_ACTIONS.get(name);
      if (!action) {
        throw refused('action', `is not known; GET /api/v1/actions/all lists what is`);
      }
      const { robot_types, parameters_schema } = action;
      if (robot_types && !robot_types.includes(robotType)) {
        const types = robot_types.join(', ');
        throw refused('action', `${name} is for robots of type ${types}; this one is ${robotType}`);
      }
      if (!parameters_schema) return;
      const { compile } = await jsonSchemas();
      const [issue] = compile(parameters_schema).validate(parameters);
      if (!issue) return;
      throw refused(issue.path === '' ? 'parameters' : `parameters.${issue.path}`, issue.message);
    },
  };
}

function toWire(row: ActionRow): Action {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    robot_types: row.robot_types === null ? null : JSON.parse(row.robot_types),
    parameters_schema: row.parameters_schema === null ? null : JSON.parse(row.parameters_schema),
    built_in: false,
    created_at: toInstant(row.created_at),
    updated_at: toInstant(row.updated_at),
  };
}

function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

function refused(path: string, message: string): DomainError {
  return new DomainError('invalid_input', `${path}: ${message}`, { issues: [{ path, message }] });
}

function isBuiltIn(name: string): DomainError {
  return new DomainError('forbidden', `${name} is a built-in action, which cannot be changed`);
}

function nameTaken(name: string): DomainError {
  return new DomainError('conflict', `There is an action ${name} already`);
}

function tooMany(): DomainError {
  return new DomainError('forbidden', `An account has at most ${ACTIONS_PER_ACCOUNT} actions`, {
    limit: 'actions_per_account',
  });
}
