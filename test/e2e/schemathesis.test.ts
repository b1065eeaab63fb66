import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { call } from '../support/app.js';
import { runProgram } from '../support/command.js';
import { describeEachDatabase } from '../support/databases.js';
import { findSchemathesis } from '../support/schemathesis.js';
import { startServer } from '../support/server-process.js';

const INSTALL_LIMIT_MS = 600_000;
const RUN_LIMIT_MS = 600_000;
/** What waits for events would wait for ever; session descriptions it cannot write (robot-video-errors.test.ts does). */
const LEFT_OUT = '(/subscribe|/control/next|/mjpeg)$|^/wh[ie]p/';
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
];

describeEachDatabase('the OpenAPI document', (kind) => {
  let found: Awaited<ReturnType<typeof findSchemathesis>>;
  beforeAll(async () => {
    found = await findSchemathesis();
  }, INSTALL_LIMIT_MS);

  it(
    'is what the server does, whatever it is sent',
    async ({ skip }) => {
      if ('unavailable' in found) return skip(`schemathesis: ${found.unavailable}`);
      const database = await kind.create();
      onTestFinished(database.dispose);
      const { url, output } = await startServer(database);
      const admin = { username: 'kairoio', password: 'kairoio' };
      const login = await call(`${url}/api/v1/auth/login`, 'POST', admin);
      const token = login.json.data.certification_key;
      // The robot that the document's examples speak of.
      const robot = { robot_id: 'robot_001', robot_type: 'mobile_robot' };
      await call(`${url}/api/v1/robots`, 'POST', robot, token);

      const { code, out, err } = await runProgram(found.path, [
        ...['run', `${url}/openapi.json`, '--header', `Authorization: Bearer ${token}`],
        ...['--checks', CHECKS.join(','), '--exclude-path-regex', LEFT_OUT],
        ...['--max-examples', '10', '--no-color'],
        ...['--generation-deterministic', '--request-timeout', '20'],
      ]);
      expect(out + err).toMatch(/Test cases:\n\s+[1-9]\d* generated/);
      expect({ code, out: code === 0 ? '' : out + err }).toEqual({ code: 0, out: '' });
      expect(output()).not.toContain('internal error');
    },
    RUN_LIMIT_MS,
  );
});
