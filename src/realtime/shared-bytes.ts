import type { StreamEvent } from './event.js';

/** The bytes of some events in one form, such as the frames of one request id. */
export type EncodeEvents = (events: readonly StreamEvent[], form: string) => Buffer;

interface Made {
  events: readonly StreamEvent[];
  bytes: Buffer;
}

/**
 * The same, made once for all readers that get the same events in the same form, however each came to its events. What
 * was made lives as long as the first of the events.
 */
export function createSharedBytes(encode: EncodeEvents): EncodeEvents {
  const madeByFirst = new WeakMap<StreamEvent, Map<string, Made>>();
  return (events, form) => {
    const [first] = events;
    if (!first) return Buffer.alloc(0);
    let forms = madeByFirst.get(first);
    if (!forms) {
      forms = new Map();
      madeByFirst.set(first, forms);
    }
    const made = forms.get(form);
    if (made && areSame(made.events, events)) return made.bytes;
    const bytes = encode(events, form);
    forms.set(form, { events, bytes });
    return bytes;
  };
}

function areSame(some: readonly StreamEvent[], others: readonly StreamEvent[]): boolean {
  if (some === others) return true;
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at += 1) if (some[at] !== others[at]) return false;
  return true;
}
