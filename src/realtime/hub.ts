import { DomainError } from '../lib/errors.js';
import type { StreamEvent } from './event.js';
import type { Subscriber } from './subscriber.js';

/** Carries events from those who publish to those who watch. */
export interface EventHub {
  /**
   * Fire and forget: never throws, never waits, costs one look-up when nobody watches.
   * Events of one topic reach each subscriber in the order of publishing; those of one tick arrive as one batch.
   */
  publish<T>(topic: string, event: StreamEvent<T>): void;
  /**
   * From now on `subscriber` gets the topic's events; it may also get those published earlier in the same tick.
   * All publishers of a topic agree on `T`. The function returned ends it; calling it again is harmless.
   */
  subscribe<T>(topic: string, subscriber: Subscriber<T>): () => void;
  /** Whether anybody watches; what nobody watches need not be made. */
  hasSubscribers(topic: string): boolean;
  /** How many subscriptions exist, over all topics. */
  subscriberCount(): number;
}

interface Topic {
  subscribers: Set<Subscriber>;
  pending: StreamEvent[];
  flushing: boolean;
}

/** Subscribers served before other work gets its turn. */
const SLICE_SUBSCRIBERS = 1_000;

/** A hub for one process. Batches per tick, so that a group commit of many rows wakes each reader once. */
export function createMemoryHub(): EventHub {
  const topics = new Map<string, Topic>();

  function flush(topic: Topic): void {
    const events = topic.pending;
    topic.pending = [];
    deliverSlice(topic, events, [...topic.subscribers], 0);
  }

  function deliverSlice(
    topic: Topic,
    events: StreamEvent[],
    targets: Subscriber[],
    from: number,
  ): void {
    const until = Math.min(from + SLICE_SUBSCRIBERS, targets.length);
    for (const subscriber of targets.slice(from, until)) {
      if (topic.subscribers.has(subscriber)) deliver(topic, subscriber, events);
    }
    // The next batch waits until every slice of this one is out, which keeps the order for each subscriber.
    if (until < targets.length) setImmediate(deliverSlice, topic, events, targets, until);
    else if (topic.pending.length > 0) queueMicrotask(() => flush(topic));
    else topic.flushing = false;
  }

  return {
    publish(name, event) {
      const topic = topics.get(name);
      if (!topic) return;
      topic.pending.push(event);
      if (topic.flushing) return;
      topic.flushing = true;
      queueMicrotask(() => flush(topic));
    },
    subscribe(name, subscriber) {
      let topic = topics.get(name);
      if (!topic) {
        topic = { subscribers: new Set(), pending: [], flushing: false };
        topics.set(name, topic);
      }
      const joined = topic;
      joined.subscribers.add(subscriber as Subscriber);
      return () => {
        joined.subscribers.delete(subscriber as Subscriber);
        if (joined.subscribers.size === 0 && topics.get(name) === joined) topics.delete(name);
      };
    },
    hasSubscribers: (name) => topics.has(name),
    subscriberCount() {
      let count = 0;
      for (const topic of topics.values()) count += topic.subscribers.size;
      return count;
    },
  };
}

function deliver(topic: Topic, subscriber: Subscriber, events: StreamEvent[]): void {
  try {
    if (subscriber.write(events) === 'sent' || subscriber.whenFull === 'skip') return;
    topic.subscribers.delete(subscriber);
    subscriber.end(
      new DomainError(
        'overloaded',
        'This reader is too slow for the stream; connect again to resume',
        {
          limit: 'stream_buffer',
        },
      ),
    );
  } catch (error) {
    // One reader's failure must reach neither the publisher nor the other readers.
    topic.subscribers.delete(subscriber);
    subscriber.end(error instanceof Error ? error : new Error(String(error)));
  }
}
