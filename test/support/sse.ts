import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { onTestFinished } from 'vitest';
import { until } from './until.js';

/** One block of an event stream, as it was written. */
export interface Block {
  id?: string;
  event?: string;
  data?: string;
  retry?: string;
  /** Lines that begin with a colon. */
  comment?: string;
}

export interface SseReader {
  status: number;
  headers: IncomingMessage['headers'];
  /** Everything that was written so far. */
  text(): string;
  blocks: Block[];
  /** The events among them, `data` read. */
  // biome-ignore lint/suspicious/noExplicitAny: tests compare answers, whatever they are
  events(): any[];
  /** Resolves when there are so many events. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  reach(count: number): Promise<any[]>;
  response: IncomingMessage;
  /** Resolves when the answer has ended, or the connection is lost. */
  ended: Promise<void>;
  close(): void;
}

/** Reads an event stream by hand until the test ends; an answer that is none has its text in `text()` when it ended. */
export async function openSse(
  url: string,
  headers: Record<string, string> = {},
): Promise<SseReader> {
  const outgoing = request(url, { headers, agent: false });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  let parsed = 0;
  const blocks: Block[] = [];
  const ended = new Promise<void>((resolve) => response.once('close', resolve));
  response.on('error', () => {});
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n\n', parsed); end >= 0; end = text.indexOf('\n\n', parsed)) {
      blocks.push(blockOf(text.slice(parsed, end)));
      parsed = end + 2;
    }
  });
  const events = () => blocks.flatMap(({ data }) => (data === undefined ? [] : [JSON.parse(data)]));
  const close = () => void outgoing.destroy();
  onTestFinished(close);
  return {
    ...{ status: response.statusCode ?? 0, headers: response.headers },
    ...{ text: () => text, blocks, events, response, ended, close },
    async reach(count) {
      await until(`${count} events`, () => events().length >= count);
      return events();
    },
  };
}

function blockOf(text: string): Block {
  const block: Block = {};
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^(\w*): ?(.*)$/s.exec(line) ?? [];
    const key = (name === '' ? 'comment' : name) as keyof Block;
    block[key] = block[key] === undefined ? value : `${block[key]}\n${value}`;
  }
  return block;
}
