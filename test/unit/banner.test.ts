import { describe, expect, it } from 'vitest';
import { banner } from '../../src/cli/banner.js';
import { loadConfig } from '../../src/config.js';

function written(env: Record<string, string>, video: { ok: boolean; detail?: string }): string {
  const { config } = loadConfig({ env });
  const address = 'http://127.0.0.1:8080';
  return banner({
    ...{ config, address, video },
    version: '1.2.3',
    database: 'SQLite',
    backup: undefined,
    further: [],
  });
}

describe('the banner', () => {
  it('tells where video comes to', () => {
    expect(written({}, { ok: true })).toMatch(/^ {2}Video +UDP and TCP from port 44444$/m);
    expect(written({ KAIROIO_MEDIA_RTC_PORT: '0' }, { ok: true })).toContain('any free ports');
    const env = { KAIROIO_MEDIA_ANNOUNCED_ADDRESS: 'fleet.example.com' };
    expect(written(env, { ok: true })).toContain('44444, announced as fleet.example.com');
  });

  it('tells why there is none', () => {
    const text = written({}, { ok: false, detail: 'media.enabled is false' });
    expect(text).toMatch(/^ {2}Off +Video rooms: media\.enabled is false$/m);
    expect(text).not.toMatch(/^ {2}Video/m);
  });
});
