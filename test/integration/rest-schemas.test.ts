import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BUILT_IN_SCHEMAS, EXAMPLE_ROBOT_ID } from '../../src/contract/schemas.js';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';
import { type Account, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';

const SCHEMAS = '/api/v1/schemas';
const ODOMETRY = {
  id: 'odometry',
  title: 'Odometry',
  schema: {
    type: 'object',
    properties: {
      ticks: { type: 'integer' },
      wheels: { type: 'array', items: { type: 'string' } },
    },
    required: ['ticks'],
  },
  example: { ticks: 1 },
};

interface Summary {
  id: string;
  method: string;
  endpoint: string;
  path_parameters: Record<string, string>;
  example: Record<string, unknown>;
}

describe('the table of requests', () => {
  it.each(BUILT_IN_SCHEMAS.map((schema) => [schema.id, schema] as const))(
    '%s is that of a REST row',
    (_id, { endpoint, body }) => {
      const path = endpoint.replace('{robot_id}', '{robotId}');
      const row = kairoio.rows.find(
        (candidate) => candidate.method === 'POST' && candidate.path === path,
      );
      expect(row?.body && z.toJSONSchema(row.body, { io: 'input' })).toEqual(
        z.toJSONSchema(body, { io: 'input' }),
      );
    },
  );

  it.each(BUILT_IN_SCHEMAS.map((schema) => [schema.id, schema] as const))(
    '%s has an example that fits',
    (_id, { body, example }) => {
      expect(body.safeParse(example)).toMatchObject({ success: true });
      const schema = z.toJSONSchema(body, { io: 'input' });
      const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
      expect([validate(example), validate.errors]).toEqual([true, null]);
      expect(validate([])).toBe(false);
    },
  );

  it('is in the order of its ids, and registers a robot before it speaks of one', () => {
    const ids = BUILT_IN_SCHEMAS.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort());
    const ofRobots = BUILT_IN_SCHEMAS.filter(({ endpoint }) => endpoint.includes('{robot_id}'));
    for (const { id } of ofRobots) expect('register_robot_request' < id).toBe(true);
    expect(ids).toEqual(expect.arrayContaining(['register_robot_request', 'robot_status']));
  });
});

describeEachDatabase('a program that knows nothing but the schemas', (kind) => {
  const app = useApp(kind);

  /** Makes every request of the list with its example, as `token`, having read the list as `reader`. */
  async function makeAll(token: string, reader: string | null) {
    const { json } = await app().call('GET', SCHEMAS, undefined, reader);
    const schemas: Summary[] = json.data.schemas;
    const made: unknown[] = [];
    let robotId: string | undefined;
    for (const { id, endpoint } of schemas.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
      const schema = await app().call('GET', `${SCHEMAS}/${id}`, undefined, reader);
      const { example } = schema.json.data;
      robotId = example.robot_id ?? robotId;
      const path = endpoint.replace('{robot_id}', encodeURIComponent(robotId ?? ''));
      const answer = await app().call('POST', path, example, token);
      made.push([id, answer.status, answer.json.success]);
    }
    expect(made).toEqual(schemas.map(({ id }) => [id, 200, true]));
    return made.length;
  }

  it('has no request refused, as often as it goes through them', async () => {
    const first = await app().addAccount();
    for (let run = 0; run < 2; run += 1) {
      expect(await makeAll(first.token, null)).toBe(BUILT_IN_SCHEMAS.length);
    }
    // One of the requests defines a message, which the list then has too.
    expect(await makeAll(first.token, first.token)).toBe(BUILT_IN_SCHEMAS.length + 1);
    // The robot of the examples is the first account's by now.
    const second = await app().addAccount();
    for (let run = 0; run < 2; run += 1) await makeAll(second.token, second.token);
  });

  it('finds the placeholders filled in, as in the examples', async () => {
    for (const account of [await app().addAccount(), await app().addAccount()]) {
      const { json } = await app().call('GET', SCHEMAS, undefined, account.token);
      const schemas: Summary[] = json.data.schemas;
      const { example } = schemas.find(({ id }) => id === 'register_robot_request') as Summary;
      for (const { endpoint, path_parameters } of schemas) {
        const filled = endpoint.includes('{robot_id}') ? { robot_id: example.robot_id } : {};
        expect(path_parameters).toEqual(filled);
      }
      await app().call('POST', '/api/v1/robots', example, account.token);
    }
  });

  it("is shown a robot's own id with the robot's key", async () => {
    const { token } = await app().addAccount();
    await app().call('POST', '/api/v1/robots', { robot_id: 'r9', robot_type: 'x' }, token);
    const key = await app().call('POST', '/api/v1/keys', { name: 'r9', robot_id: 'r9' }, token);
    const { json } = await app().call('GET', SCHEMAS, undefined, key.json.data.key);
    const status = json.data.schemas.find(({ id }: Summary) => id === 'robot_status');
    expect(status.path_parameters).toEqual({ robot_id: 'r9' });
  });
});

describeEachDatabase('GET /schemas', (kind) => {
  const app = useApp(kind);

  it('lists the requests of the fleet API to anybody', async () => {
    const answer = await app().call('GET', SCHEMAS, undefined, null);
    expectData(answer, {
      schemas: BUILT_IN_SCHEMAS.map(({ id, title, endpoint, example }) => ({
        id,
        title,
        method: 'POST',
        endpoint,
        path_parameters: endpoint.includes('{robot_id}') ? { robot_id: EXAMPLE_ROBOT_ID } : {},
        built_in: true,
        example,
      })),
    });
    const wrong = await app().call('GET', SCHEMAS, undefined, 'no key of anybody');
    expect(wrong.json).toEqual(answer.json);
  });

  it('gives the JSON Schema of one, with its example', async () => {
    for (const { id, title, example } of BUILT_IN_SCHEMAS) {
      const { json } = await app().call('GET', `${SCHEMAS}/${id}`, undefined, null);
      expect(json.data).toMatchObject({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title,
        type: 'object',
        example,
      });
      const { example: _, ...schema } = json.data;
      const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
      expect(validate(example)).toBe(true);
    }
    const status = await app().call('GET', `${SCHEMAS}/robot_status`, undefined, null);
    expect(status.json.data.required).toEqual(['status']);
  });

  it.each(['nothing', 'Robot_Status', '__proto__', 'x'.repeat(128), '%20', '%00'])(
    'knows no schema %.20s',
    async (id) => {
      expectFailure(
        await app().call('GET', `${SCHEMAS}/${id}`, undefined, null),
        404,
        'Schema not found',
      );
    },
  );
});

describeEachDatabase('schemas of an account', (kind) => {
  const app = useApp(kind);
  let owner: Account;
  let stranger: Account;
  beforeAll(async () => {
    owner = await app().addAccount();
    stranger = await app().addAccount();
  });
  const define = (schema: unknown, { token } = owner) => app().call('POST', SCHEMAS, schema, token);
  const ids = async (token: string | null) =>
    (await app().call('GET', SCHEMAS, undefined, token)).json.data.schemas
      .filter((schema: { built_in: boolean }) => !schema.built_in)
      .map(({ id }: Summary) => id);

  it('live from their definition to their deletion, for their account alone', async () => {
    const endpoint = '/api/v1/robots/{robot_id}/messages/odometry';
    const whole = {
      ...ODOMETRY,
      method: 'POST',
      endpoint,
      created_at: INSTANT,
      updated_at: INSTANT,
    };
    const created = await define(ODOMETRY);
    expectData(created, whole);
    expectData(await define({ ...ODOMETRY, extra: 1 }), created.json.data);
    expect(await ids(owner.token)).toEqual(['odometry']);
    for (const token of [null, stranger.token]) {
      expect(await ids(token)).toEqual([]);
      expectFailure(
        await app().call('GET', `${SCHEMAS}/odometry`, undefined, token),
        404,
        'Schema not found',
      );
    }
    const listed = (await app().call('GET', SCHEMAS, undefined, owner.token)).json.data.schemas;
    expect(listed.map(({ id }: Summary) => id)).toEqual(
      [...BUILT_IN_SCHEMAS.map(({ id }) => id), 'odometry'].sort(),
    );
    expect(listed.find(({ id }: Summary) => id === 'odometry')).toEqual({
      id: 'odometry',
      title: 'Odometry',
      method: 'POST',
      endpoint,
      path_parameters: { robot_id: EXAMPLE_ROBOT_ID },
      built_in: false,
      example: ODOMETRY.example,
    });
    expectData(await app().call('GET', `${SCHEMAS}/odometry`, undefined, owner.token), {
      title: 'Odometry',
      ...ODOMETRY.schema,
      example: ODOMETRY.example,
    });

    const path = `${SCHEMAS}/odometry`;
    const renamed = await app().call('PUT', path, { title: 'Wheels' }, owner.token);
    expectData(renamed, { ...whole, title: 'Wheels' });
    const schema = { type: 'object', properties: { n: { const: 1 } }, required: ['n'] };
    expectFailure(
      await app().call('PUT', path, { schema }, owner.token),
      400,
      /^The example does not fit the schema: /,
    );
    const changed = await app().call('PUT', path, { schema, example: { n: 1 } }, owner.token);
    expectData(changed, { ...whole, title: 'Wheels', schema, example: { n: 1 } });
    expectFailure(await define(ODOMETRY), 409, /There is a schema odometry already/);

    for (const method of ['PUT', 'DELETE']) {
      const answer = await app().call(method, path, {}, stranger.token);
      expectFailure(answer, 404, 'Schema not found');
    }
    expectData(await app().call('DELETE', path, undefined, owner.token), {
      message: 'Schema deleted successfully',
      schema_id: 'odometry',
    });
    expectFailure(
      await app().call('DELETE', path, undefined, owner.token),
      404,
      'Schema not found',
    );
    expect(await ids(owner.token)).toEqual([]);
  });

  it('may bear one name in two accounts', async () => {
    const other = { ...ODOMETRY, title: 'Of the other' };
    for (const [schema, account] of [
      [ODOMETRY, owner],
      [other, stranger],
    ] as const) {
      expect((await define(schema, account)).status).toBe(200);
    }
    const { json } = await app().call('GET', `${SCHEMAS}/odometry`, undefined, stranger.token);
    expect(json.data.title).toBe('Of the other');
  });

  it('leave the built-in ones as they are', async () => {
    expectFailure(
      await define({ ...ODOMETRY, id: 'robot_status' }),
      409,
      'robot_status is a built-in schema; take another id',
    );
    for (const method of ['PUT', 'DELETE']) {
      const answer = await app().call(method, `${SCHEMAS}/robot_status`, {}, owner.token);
      expectFailure(answer, 403, "A built-in schema can't be changed");
    }
  });

  it.each(['', 'A', 'a b', 'a/b', '-a', 'ü', 'a'.repeat(65), 7])('refuse the id %j', async (id) => {
    expectFailure(await define({ ...ODOMETRY, id }), 400, /^id: /);
  });

  it('say what is missing', async () => {
    const sentence = 'id, title, schema and example are required';
    for (const body of [{}, { id: 'a', title: 'A', schema: {} }]) {
      expectFailure(await define(body), 400, sentence);
    }
  });

  it.each<[string, object]>([
    ['a type that is none', { type: 'robot' }],
    ['a keyword of the wrong kind', { properties: [] }],
    ['a schema inside that is none', { properties: { a: 7 } }],
    ['a pattern that is none', { properties: { a: { pattern: '(' } } }],
    ['a pattern that looks back', { properties: { a: { pattern: '(a)\\1' } } }],
    ['a reference to another place', { $ref: 'https://example.com/schema.json' }],
    ['a reference to a file', { properties: { a: { $ref: 'file:///etc/passwd' } } }],
    ['a reference to nothing', { $ref: '#/$defs/none' }],
    ['a reference to itself', { properties: { a: { $ref: '#' } } }],
    [
      'references that multiply',
      {
        $defs: Object.fromEntries(
          Array.from({ length: 30 }, (_, n) => {
            const $ref = `#/$defs/d${n + 1}`;
            return [`d${n}`, n === 29 ? { type: 'null' } : { anyOf: [{ $ref }, { $ref }] }];
          }),
        ),
        $ref: '#/$defs/d0',
      },
    ],
    ['a dialect of its own', { $schema: 'https://example.com/dialect' }],
    ['an old dialect', { $schema: 'http://json-schema.org/draft-04/schema#' }],
  ])('refuse %s', async (_name, schema) => {
    expectFailure(await define({ ...ODOMETRY, id: 'bad', schema, example: {} }), 400, /schema/);
    expect(await ids(owner.token)).not.toContain('bad');
  });

  it.each([
    'http://json-schema.org/draft-07/schema#',
    'http://json-schema.org/draft-07/schema',
    'https://json-schema.org/draft/2020-12/schema',
  ])('take the dialect %s', async ($schema) => {
    const id = `d${$schema.length}`;
    const schema = { $schema, ...ODOMETRY.schema };
    expect((await define({ ...ODOMETRY, id, schema })).status).toBe(200);
    const { json } = await app().call('GET', `${SCHEMAS}/${id}`, undefined, owner.token);
    expect(json.data.$schema).toBe($schema);
  });

  it('refuse an example that does not fit, and say where', async () => {
    const example = { ticks: 1, wheels: ['a', 2] };
    const answer = await define({ ...ODOMETRY, id: 'unfit', example });
    expectFailure(
      answer,
      400,
      'The example does not fit the schema: example.wheels.1 must be string',
    );
    expect(answer.json.issues).toEqual([{ path: 'example.wheels.1', message: 'must be string' }]);
  });

  it('have limits: size, depth, count', async () => {
    const huge = { ...ODOMETRY, id: 'huge', schema: { description: 'x'.repeat(65_536) } };
    expectFailure(await define(huge), 413, 'schema: must not be larger than 64 KiB of JSON');
    const long = { ...ODOMETRY, id: 'huge', example: { ticks: 1, pad: 'x'.repeat(65_536) } };
    expectFailure(await define(long), 413, 'example: must not be larger than 64 KiB of JSON');
    let deep: object = {};
    for (let level = 0; level < 450; level += 1) deep = { not: deep };
    expectFailure(await define({ ...ODOMETRY, id: 'deep', schema: deep }), 400, /deep/);

    const { token } = await app().addAccount();
    const many = Array.from({ length: 105 }, (_, n) => ({ ...ODOMETRY, id: `kind-${n}` }));
    const answers = await Promise.all(
      many.map((schema) => app().call('POST', SCHEMAS, schema, token)),
    );
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(5);
    for (const answer of refused) {
      expectFailure(answer, 403, 'An account has at most 100 schemas; delete one first');
      expect(answer.json.limit).toBe('message_schemas_per_account');
    }
    expect(await ids(token)).toHaveLength(100);
  });

  it('stay whole when they are changed from two sides at once', async () => {
    await define({ ...ODOMETRY, id: 'shared' });
    const changes = Array.from({ length: 8 }, (_, n) => ({
      schema: { properties: { n: { const: n } }, required: ['n'] },
      example: { n },
    }));
    const path = `${SCHEMAS}/shared`;
    const answers = await Promise.all(
      changes.map((change) => app().call('PUT', path, change, owner.token)),
    );
    for (const answer of answers) {
      if (answer.status !== 200) expectFailure(answer, 409, /Somebody else changed this schema/);
    }
    const { json } = await app().call('GET', path, undefined, owner.token);
    expect(json.data.properties.n.const).toBe(json.data.example.n);
  });
});
