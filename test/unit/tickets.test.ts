import { describe, expect, it } from 'vitest';
import { createTickets } from '../../src/services/tickets.js';
import { createStoppedClock } from '../support/identity.js';

describe('tickets', () => {
  it('stand for their credential once', () => {
    const tickets = createTickets(createStoppedClock());
    const { ticket, expires_in_seconds } = tickets.issue('a key');
    const other = tickets.issue('another').ticket;
    expect(expires_in_seconds).toBe(60);
    expect(other).not.toBe(ticket);
    expect(tickets.redeem(ticket)).toBe('a key');
    expect(tickets.redeem(ticket)).toBeUndefined();
    expect(tickets.redeem('fwt_unknown')).toBeUndefined();
    expect(tickets.redeem('')).toBeUndefined();
    expect(tickets.redeem('a key')).toBeUndefined();
    expect(tickets.redeem(other)).toBe('another');
  });

  it('are good for a minute', () => {
    const clock = createStoppedClock();
    const tickets = createTickets(clock);
    const [early, late] = [tickets.issue('k').ticket, tickets.issue('k').ticket];
    clock.advance(59_999);
    expect(tickets.redeem(early)).toBe('k');
    clock.advance(1);
    expect(tickets.redeem(late)).toBeUndefined();
  });

  it('are bounded, for one credential and for all, and those used or old count no more', () => {
    const clock = createStoppedClock();
    const tickets = createTickets(clock, { ofCredential: 2, all: 3 });
    const first = tickets.issue('a').ticket;
    tickets.issue('a');
    expect(() => tickets.issue('a')).toThrow('Too many tickets are unused');
    tickets.redeem(first);
    tickets.issue('a');
    tickets.issue('b');
    expect(() => tickets.issue('c')).toThrow('Too many tickets are unused');
    clock.advance(60_000);
    for (const credential of ['a', 'a', 'c']) tickets.issue(credential);
    expect(() => tickets.issue('b')).toThrow('Too many tickets are unused');
  });
});
