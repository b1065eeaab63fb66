import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DOCUMENTED,
  FrameError,
  readFrame,
  SDP_LIMIT_CHARS,
  writeFrame,
} from '../../src/rest-adapter/surfaces/kaamos-frames.js';

const read = (frame: unknown) => readFrame(JSON.stringify(frame));
const NOW = Date.parse('2026-01-25T12:00:00.789Z');
const ORIGINAL = { separator: '_', flat: false } as const;
const FLAT = { separator: '-', flat: true } as const;

function write(message: Parameters<typeof writeFrame>[0], dialect: typeof DOCUMENTED = DOCUMENTED) {
  return JSON.parse(writeFrame(message, { dialect, room_id: 'abc123xyz', nowMs: NOW }));
}

function codeOf(text: string): string {
  try {
    readFrame(text);
  } catch (error) {
    if (error instanceof FrameError) return error.code;
    throw error;
  }
  return 'none';
}

describe('frames of a room', () => {
  it.each([
    ['as documented', { user_id: 'user_123', room_id: 'abc123xyz' }, 'user_123'],
    ['as the original reads them', { data: { user_id: 'user_123' } }, 'user_123'],
    ['from numbered users', { data: { user_id: 7 } }, '7'],
    ['from whoever says nothing', {}, ''],
    ['without what would add lines to a description', { user_id: 'a\r\na=x\0' }, 'aa=x'],
  ])('join %s', (_title, fields, user_id) => {
    expect(read({ type: 'join', ...fields })).toEqual({
      message: { type: 'join', user_id, name: null, wants_participants: false },
      shows: {},
    });
  });

  it('join with a name, and with a wish to know who is there', () => {
    const data = { user_id: 'a', name: ' Ann ', participants: true };
    expect(read({ type: 'join', data }).message).toEqual({
      ...{ type: 'join', user_id: 'a', name: 'Ann', wants_participants: true },
    });
    expect(codeOf(JSON.stringify({ type: 'join', user_id: 'x'.repeat(129) }))).toBe(
      'INVALID_MESSAGE',
    );
  });

  it.each(['offer', 'answer'] as const)('%s in data, or on the top level', (type) => {
    expect(read({ type, data: { sdp: 'v=0' } })).toEqual({
      message: { type, sdp: 'v=0' },
      shows: { flat: false },
    });
    expect(read({ type, sdp: 'v=0' })).toEqual({
      message: { type, sdp: 'v=0' },
      shows: { flat: true },
    });
    expect(codeOf(JSON.stringify({ type }))).toBe('INVALID_MESSAGE');
    expect(codeOf(JSON.stringify({ type, sdp: 'x'.repeat(SDP_LIMIT_CHARS) }))).toBe('none');
    expect(codeOf(JSON.stringify({ type, sdp: 'x'.repeat(SDP_LIMIT_CHARS + 1) }))).toBe(
      'SDP_TOO_LARGE',
    );
  });

  it('candidates in all three spellings', () => {
    const own = { candidate: 'candidate:1', sdpMid: '0', sdpMLineIndex: 0 };
    const message = { type: 'candidate', candidate: own };
    expect(read({ type: 'ice-candidate', data: own })).toEqual({
      message,
      shows: { separator: '-' },
    });
    expect(read({ type: 'ice_candidate', data: own })).toEqual({
      message,
      shows: { separator: '_' },
    });
    expect(read({ type: 'ice-candidate', candidate: own }).message).toEqual(message);
    expect(read({ type: 'ice-candidate', data: { candidate: own } }).message).toEqual(message);
    expect(read({ type: 'ice-candidate', data: null }).message).toEqual({
      type: 'candidate',
      candidate: { candidate: '', sdpMid: null, sdpMLineIndex: null },
    });
  });

  it.each([
    ['base64', 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA='],
    ['base64url', 'q83v-jRWeJCrze8_NFZ4kK'],
    ['hexadecimal', 'abcdef0123456789'],
    ['PEM', '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\nq83v\n-----END PUBLIC KEY-----\n'],
  ])('keys in %s', (_title, public_key) => {
    const message = { type: 'key', public_key };
    expect(read({ type: 'key-exchange', data: { public_key } })).toEqual({
      message,
      shows: { separator: '-' },
    });
    expect(read({ type: 'key_exchange', public_key })).toEqual({
      message,
      shows: { separator: '_' },
    });
  });

  it.each([[''], ['   '], ['<script>'], ['a'.repeat(4_097)], [7], [undefined]])(
    'no key such as %j',
    (public_key) => {
      expect(codeOf(JSON.stringify({ type: 'key-exchange', data: { public_key } }))).toBe(
        'INVALID_PUBLIC_KEY',
      );
    },
  );

  it('sealed data, whatever is in it', () => {
    const data = { to: 'b', payload: { any: ['thing'] }, nonce: 'n' };
    const message = { type: 'sealed', to: 'b', data };
    expect(read({ type: 'encrypted', data })).toEqual({ message, shows: { separator: '-' } });
    expect(read({ type: 'encrypted_data', data })).toEqual({ message, shows: { separator: '_' } });
    expect(read({ type: 'encrypted', to: 'b', payload: 'p' }).message).toEqual({
      ...{ type: 'sealed', to: 'b', data: { to: 'b', payload: 'p' } },
    });
    expect(codeOf(JSON.stringify({ type: 'encrypted', data: { payload: 'p' } }))).toBe(
      'INVALID_MESSAGE',
    );
  });

  it.each([
    ['{', 'INVALID_MESSAGE'],
    ['[]', 'INVALID_MESSAGE'],
    ['null', 'INVALID_MESSAGE'],
    ['{"type":7}', 'INVALID_MESSAGE'],
    ['{"type":"knock"}', 'UNKNOWN_TYPE'],
    ['{"type":"__proto__"}', 'UNKNOWN_TYPE'],
    ['{"type":"constructor"}', 'UNKNOWN_TYPE'],
  ])('%s is %s', (text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it('fail in no other way, whatever comes', () => {
    const type = fc.constantFrom(
      ...['join', 'offer', 'answer', 'ice-candidate', 'ice_candidate', 'key-exchange'],
      ...['key_exchange', 'encrypted', 'encrypted_data', 'leave', 'x'],
    );
    const fields = { type, data: fc.jsonValue(), sdp: fc.jsonValue(), candidate: fc.jsonValue() };
    fc.assert(fc.property(fc.record(fields), (frame) => void codeOf(JSON.stringify(frame))));
    fc.assert(fc.property(fc.string(), (text) => void codeOf(text)));
  });

  it('are written in the dialect of whoever reads them', () => {
    const stamp = { room_id: 'abc123xyz', timestamp: '2026-01-25T12:00:00Z' };
    expect(write({ type: 'joined', user_id: 'a' })).toEqual({
      ...{ type: 'join', user_id: 'a', ...stamp },
    });
    const answer = { type: 'answer', data: { sdp: 'v=0', type: 'answer' }, ...stamp };
    expect(write({ type: 'answer', sdp: 'v=0' })).toEqual(answer);
    expect(write({ type: 'answer', sdp: 'v=0' }, FLAT)).toEqual({ ...answer, sdp: 'v=0' });
    expect(write({ type: 'left', user_id: 'a' })).toEqual({ type: 'leave', from: 'a', ...stamp });
    const key = { type: 'key', from: 'a', public_key: 'k' } as const;
    expect(write(key).type).toBe('key-exchange');
    expect(write(key, ORIGINAL)).toEqual({
      ...{ type: 'key_exchange', from: 'a', data: { public_key: 'k' }, ...stamp },
    });
    const sealed = { type: 'sealed', from: 'a', data: { to: 'b', payload: 'p' } } as const;
    expect(write(sealed)).toEqual({ ...sealed, type: 'encrypted', ...stamp });
    expect(write(sealed, ORIGINAL).type).toBe('encrypted_data');
    const keys = JSON.parse('{"__proto__":"k"}');
    expect(JSON.stringify(write({ type: 'keys', keys }).data)).toBe('{"keys":{"__proto__":"k"}}');
    expect(write({ type: 'error', code: 'X', message: 'm' })).toEqual({
      ...{ type: 'error', data: { code: 'X', message: 'm' }, ...stamp },
    });
  });
});
