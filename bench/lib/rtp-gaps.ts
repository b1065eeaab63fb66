const SEQUENCE_NUMBERS = 0x1_0000;

/** What one receiver of an RTP stream got, by the sequence numbers alone (RFC 3550, appendix A.3). */
export class RtpGaps {
  received = 0;
  #first: number | undefined;
  /** Beyond 16 bits: the number of wraps is in it. */
  #highest = 0;

  add(sequence: number): void {
    this.received += 1;
    if (this.#first === undefined) {
      this.#first = sequence;
      this.#highest = sequence;
      return;
    }
    const ahead = (sequence - this.#highest) & (SEQUENCE_NUMBERS - 1);
    // The other half of the circle is what came late.
    if (ahead < SEQUENCE_NUMBERS / 2) this.#highest += ahead;
  }

  /** From the first to the highest that came. */
  get expected(): number {
    return this.#first === undefined ? 0 : this.#highest - this.#first + 1;
  }

  /** Less than 0 when some came twice. */
  get lost(): number {
    return this.expected - this.received;
  }
}
