import { expect, it } from 'vitest';
import { textOf } from '../../src/rest-adapter/sse-connection.js';

it('writes a message of an event stream so that no text of it can be taken for another line', () => {
  expect(textOf({})).toBe('');
  expect(textOf({ id: '7' })).toBe('id: 7\n\n');
  expect(textOf({ retry: 1_000 })).toBe('retry: 1000\n\n');
  expect(textOf({ data: '' })).toBe('data: \n\n');
  expect(textOf({ id: '7', event: 'reset', data: '{}' })).toBe('id: 7\nevent: reset\ndata: {}\n\n');
  expect(textOf({ data: 'a\nid: 9\r\n\rb\n' })).toBe(
    'data: a\ndata: id: 9\ndata: \ndata: b\ndata: \n\n',
  );
});
