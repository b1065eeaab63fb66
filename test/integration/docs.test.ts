import { describe, expect, it } from 'vitest';
import { useApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';

describe('the API page', () => {
  const app = useApp(testDatabases[0]!);
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(new URL(path, app().url), { redirect: 'manual', ...init });

  it('shows itself and its parts, none from another host', async () => {
    for (const path of ['/docs', '/docs/']) {
      const page = await ask(path);
      expect([page.status, page.headers.get('content-type')]).toEqual([
        200,
        'text/html; charset=utf-8',
      ]);
      expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
      const html = await page.text();
      const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part]) => part ?? '');
      expect(parts.length).toBeGreaterThan(3);
      for (const part of parts) {
        const { pathname, href } = new URL(part, new URL(path, app().url));
        expect(href.startsWith(app().url)).toBe(true);
        expect([pathname, (await ask(pathname)).status]).toEqual([pathname, 200]);
      }
    }
  });

  it('is told by HEAD, by parts and by what is known already, as any file is', async () => {
    const path = '/docs/static/swagger-ui.css';
    const whole = await ask(path);
    const bytes = (await whole.arrayBuffer()).byteLength;
    const head = await ask(path, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes)]);
    const part = await ask(path, { headers: { range: 'bytes=0-9' } });
    expect([part.status, (await part.arrayBuffer()).byteLength]).toEqual([206, 10]);
    const known = await ask(path, {
      headers: { 'if-none-match': whole.headers.get('etag') ?? '', 'cache-control': 'max-age=0' },
    });
    expect([known.status, known.headers.get('content-type')]).toEqual([304, null]);
  });

  it('sends on, and has nothing else', async () => {
    const index = await ask('/docs/static/index.html');
    expect([index.status, index.headers.get('location')]).toEqual([302, '/docs/']);
    const outside = '/docs/static/..%2f..%2fpackage.json';
    for (const path of ['/docs/static/nothing', '/docs/nothing', outside]) {
      expect([path, (await ask(path)).status]).toEqual([path, 404]);
    }
    expect((await ask('/docs/static/%00')).status).toBe(403);
  });

  it('has the document in both forms', async () => {
    const document = await (await ask('/openapi.json')).json();
    expect(await (await ask('/docs/json')).json()).toEqual(document);
    expect(await (await ask('/docs/yaml')).text()).toContain('openapi: 3.1.0');
  });
});
