import { describe, expect, it } from 'vitest';
import type { Principal } from '../../src/contract/access.js';
import { createRelay, lobbyOf, type RelayPeer } from '../../src/services/relay.js';

function createPeer(isAlive = true) {
  const heard: string[] = [];
  let ended = false;
  const peer: RelayPeer = {
    send: (frame) => void heard.push(Buffer.from(frame).toString()),
    isAlive: async () => isAlive,
    end: () => {
      ended = true;
    },
  };
  return { peer, heard, isEnded: () => ended };
}

const frame = (text: string) => Buffer.from(text);

describe('a lobby', () => {
  it('has two places, and hands everything to the other one alone', async () => {
    const relay = createRelay();
    const [ann, ben, eve] = [createPeer(), createPeer(), createPeer()];
    const first = await relay.join('a', ann.peer);
    const second = await relay.join('a', ben.peer);
    expect(first?.clientId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
    expect(second?.clientId).not.toBe(first?.clientId);
    expect(await relay.join('a', eve.peer)).toBeUndefined();
    first?.forward(frame('hello'));
    second?.forward(frame('good day'));
    expect([ann.heard, ben.heard, eve.heard]).toEqual([['good day'], ['hello'], []]);
    expect(relay.count()).toBe(2);
  });

  it('is apart from every other', async () => {
    const relay = createRelay();
    const [ann, ben] = [createPeer(), createPeer()];
    const first = await relay.join('a', ann.peer);
    await relay.join('b', ben.peer);
    first?.forward(frame('hello'));
    expect(ben.heard).toEqual([]);
  });

  it('has a place again when one leaves, and hears no more of who left', async () => {
    const relay = createRelay();
    const [ann, ben, eve] = [createPeer(), createPeer(), createPeer()];
    const first = await relay.join('a', ann.peer);
    await relay.join('a', ben.peer);
    first?.leave();
    first?.leave();
    expect(relay.count()).toBe(1);
    const third = await relay.join('a', eve.peer);
    first?.forward(frame('from outside'));
    third?.forward(frame('hello'));
    expect([ann.heard, ben.heard, eve.heard]).toEqual([[], ['hello'], []]);
  });

  it('gives the place of one that does not answer to the next, and of that one alone', async () => {
    const relay = createRelay();
    const [dead, ben, eve] = [createPeer(false), createPeer(), createPeer()];
    await relay.join('a', dead.peer);
    const second = await relay.join('a', ben.peer);
    expect(await relay.join('a', eve.peer)).toBeDefined();
    expect([dead.isEnded(), ben.isEnded()]).toEqual([true, false]);
    second?.forward(frame('hello'));
    expect([dead.heard, eve.heard]).toEqual([[], ['hello']]);
  });
});

it('refuses callers above its limit, until one leaves', async () => {
  const relay = createRelay({ callersLimit: 2 });
  const first = await relay.join('a', createPeer().peer);
  await relay.join('b', createPeer().peer);
  await expect(relay.join('c', createPeer().peer)).rejects.toMatchObject({ code: 'overloaded' });
  first?.leave();
  expect(await relay.join('c', createPeer().peer)).toBeDefined();
});

it('puts callers into a lobby by account and room, or by credential', () => {
  const caller = (account_id: string, key_id: string | null = null) =>
    ({ account_id, key_id }) as Principal;
  const lobbies = [
    lobbyOf(null, undefined),
    lobbyOf(null, 'room'),
    lobbyOf(null, 'other room'),
    lobbyOf(caller('A'), undefined),
    lobbyOf(caller('A', 'key-1'), undefined),
    lobbyOf(caller('A', 'key-2'), undefined),
    lobbyOf(caller('A'), 'room'),
    lobbyOf(caller('B'), undefined),
    lobbyOf(caller('B'), 'room'),
    lobbyOf(caller('A'), 'key-1'),
    lobbyOf(caller('room'), 'A'),
  ];
  expect(new Set(lobbies).size).toBe(lobbies.length);
  expect(lobbyOf(caller('A', 'key-1'), 'room')).toBe(lobbyOf(caller('A', 'key-2'), 'room'));
  expect(lobbyOf(caller('A', 'key-1'), undefined)).toBe(lobbyOf(caller('A', 'key-1'), undefined));
});
