import { beforeEach, describe, expect, it } from 'vitest';
import { type Account, useApp } from '../support/app.js';
import { type CommandDoor, commandDoors, restDoor } from '../support/command-doors.js';
import { describeEachDatabase } from '../support/databases.js';
import { INSTANT } from '../support/rest.js';

const BUILT_IN = [
  ...['move_to', 'stop', 'pause', 'resume', 'return_to_base', 'dock', 'undock', 'set_speed'],
  ...['take_photo', 'reboot'],
];
const wave = {
  name: 'wave',
  description: 'Greets',
  robot_types: ['humanoid'],
  parameters_schema: {
    type: 'object',
    required: ['times'],
    properties: { times: { type: 'integer', minimum: 1 } },
  },
};

describeEachDatabase('actions', (kind) => {
  const app = useApp(kind);
  let owner: Account;
  beforeEach(async () => {
    owner = await app().addAccount();
  });

  describe.each(commandDoors)('through %s', (_name, open) => {
    let door: CommandDoor;
    beforeEach(() => {
      door = open(app(), owner.token);
    });

    it('knows the built-in ones, each with a schema of its parameters', async () => {
      const { data } = await door.allActions();
      expect(data.actions.map(({ name }: { name: string }) => name)).toEqual(BUILT_IN);
      expect(data.count).toBe(BUILT_IN.length);
      for (const action of data.actions) {
        expect(action).toMatchObject({ id: action.name, built_in: true, created_at: null });
        expect(action.parameters_schema.type).toBe('object');
        expect(await door.getAction(action.id)).toEqual({ status: 200, data: action });
      }
      expect(await door.ownActions()).toEqual({ status: 200, data: { actions: [], count: 0 } });
    });

    it('adds, changes and deletes those of an account', async () => {
      const created = await door.createAction(wave);
      const action = {
        ...wave,
        ...{ id: expect.any(String), built_in: false, created_at: INSTANT, updated_at: INSTANT },
      };
      expect(created).toEqual({ status: 200, data: action });
      const { id } = created.data;
      expect(await door.getAction(id)).toEqual(created);
      expect(await door.ownActions()).toEqual({
        status: 200,
        data: { actions: [created.data], count: 1 },
      });
      expect((await door.allActions()).data.actions.at(-1)).toEqual(created.data);

      const changed = await door.updateAction(id, { description: null, name: 'wave_twice' });
      expect(changed.data).toEqual({ ...action, id, description: null, name: 'wave_twice' });
      const cleared = { robot_types: null, parameters_schema: null };
      expect((await door.updateAction(id, cleared)).data).toMatchObject(cleared);

      expect(await door.deleteAction(id)).toEqual({
        status: 200,
        data: { message: 'Action deleted successfully', action_id: id },
      });
      for (const call of [door.getAction(id), door.deleteAction(id), door.updateAction(id, {})]) {
        expect(await call).toEqual({ status: 404, error: 'Action not found' });
      }
    });

    it('needs nothing but a name', async () => {
      expect((await door.createAction({ name: 'wave' })).data).toMatchObject({
        ...{ description: null, robot_types: null, parameters_schema: null },
      });
    });

    it('has one action of a name', async () => {
      const { data } = await door.createAction(wave);
      const taken = (name: string) => ({
        status: 409,
        error: `There is an action ${name} already`,
      });
      expect(await door.createAction(wave)).toEqual(taken('wave'));
      expect(await door.createAction({ name: 'stop' })).toEqual(taken('stop'));
      await door.createAction({ name: 'bow' });
      expect(await door.updateAction(data.id, { name: 'bow' })).toEqual(taken('bow'));
      expect(await door.updateAction(data.id, { name: 'stop' })).toEqual(taken('stop'));
      const many = await Promise.all(
        Array.from({ length: 5 }, () => door.createAction({ name: 'jump' })),
      );
      expect(many.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
      // Another account has its own.
      const other = open(app(), (await app().addAccount()).token);
      expect((await other.createAction(wave)).status).toBe(200);
    });

    it('leaves the built-in ones as they are', async () => {
      const error = 'dock is a built-in action, which cannot be changed';
      expect(await door.updateAction('dock', { description: 'x' })).toEqual({ status: 403, error });
      expect(await door.deleteAction('dock')).toEqual({ status: 403, error });
    });

    it('shows an account nothing of another', async () => {
      const { data } = await door.createAction(wave);
      const other = open(app(), (await app().addAccount()).token);
      expect((await other.ownActions()).data.count).toBe(0);
      for (const call of [
        other.getAction(data.id),
        other.updateAction(data.id, { name: 'mine' }),
        other.deleteAction(data.id),
      ]) {
        expect(await call).toEqual({ status: 403, error: 'Access denied' });
      }
      expect((await door.getAction(data.id)).data).toEqual(data);
    });

    it.each([
      [{}, /name/],
      [{ name: 'Wave' }, /^name: must be small letters/],
      [{ name: 'x'.repeat(65) }, /^name: /],
      [{ ...wave, robot_types: [] }, /^robot_types: /],
      [{ ...wave, parameters_schema: 'x' }, /^parameters_schema: /],
      [{ ...wave, parameters_schema: { type: 'strng' } }, /^parameters_schema\.type: must be/],
      [
        { ...wave, parameters_schema: { type: 'array' } },
        'parameters_schema.type: must be "object", because parameters are one',
      ],
      [
        { ...wave, parameters_schema: { properties: { a: { $ref: 'https://example.com/a' } } } },
        /^parameters_schema\.properties\.a\.\$ref: must refer to a part of this schema/,
      ],
      [
        { ...wave, parameters_schema: { properties: { a: { pattern: '(a+)\\1' } } } },
        'parameters_schema.properties.a.pattern: must not refer back to a group',
      ],
    ])('refuses %j', async (action, sentence) => {
      const { status, error } = await door.createAction(action);
      expect(status).toBe(400);
      if (typeof sentence === 'string') expect(error).toBe(sentence);
      else expect(error).toMatch(sentence);
      expect((await door.ownActions()).data.count).toBe(0);
    });
  });

  it('judges commands by the schema and the types of robots', async () => {
    const door = restDoor(app(), owner.token);
    for (const [robot_id, robot_type] of [
      ['h1', 'humanoid'],
      ['m1', 'mobile_robot'],
    ]) {
      await app().call('POST', '/api/v1/robots', { robot_id, robot_type }, owner.token);
    }
    const { data } = await door.createAction(wave);
    const sent = { action: 'wave', parameters: { times: 2 } };
    expect((await door.send('h1', sent)).status).toBe(200);
    expect(await door.send('m1', sent)).toEqual({
      status: 400,
      error: 'action: wave is for robots of type humanoid; this one is mobile_robot',
    });
    expect(await door.send('h1', { action: 'wave', parameters: { times: 0 } })).toEqual({
      status: 400,
      error: 'parameters.times: must be >= 1',
    });
    expect(await door.send('h1', { action: 'wave' })).toEqual({
      status: 400,
      error: "parameters: must have required property 'times'",
    });
    await door.updateAction(data.id, { parameters_schema: { type: 'object' }, robot_types: null });
    expect((await door.send('m1', { action: 'wave' })).status).toBe(200);
    await door.deleteAction(data.id);
    expect(await door.send('h1', sent)).toEqual({
      status: 400,
      error: 'action: is not known; GET /api/v1/actions/all lists what is',
    });
    // That of another account.
    const other = await app().addAccount();
    await restDoor(app(), other.token).createAction(wave);
    expect((await door.send('h1', sent)).status).toBe(400);
  });

  it('is for keys that may', async () => {
    const keyOf = async (scopes: string[]) => {
      const key = { name: scopes.join(), scopes };
      return (await app().call('POST', '/api/v1/keys', key, owner.token)).json.data.key;
    };
    const reader = restDoor(app(), await keyOf(['commands:read']));
    expect((await reader.allActions()).status).toBe(200);
    expect(await reader.createAction(wave)).toEqual({
      status: 403,
      error: 'This key lacks the scope actions:write',
    });
    const writer = restDoor(app(), await keyOf(['actions:write']));
    expect((await writer.createAction(wave)).status).toBe(200);
    expect((await writer.ownActions()).status).toBe(403);
  });
});
