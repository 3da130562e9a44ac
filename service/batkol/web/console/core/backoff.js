/** Waiting between attempts to connect: from a shortest to a longest time, doubled, with some chance in it. */

export class Backoff {
  #failures = 0;
  #shortest;
  #longest;
  #random;

  /** Times in ms; `random` gives numbers from 0 to 1. */
  constructor(shortest = 500, longest = 15_000, random = Math.random) {
    this.#shortest = shortest;
    this.#longest = longest;
    this.#random = random;
  }

  /** The server's wish, which is waited for at least. */
  atLeast(ms) {
    this.#shortest = ms;
  }

  succeeded() {
    this.#failures = 0;
  }

  /** Return how long to wait, in ms. */
  next() {
    const wait = Math.min(this.#longest, this.#shortest * 2 ** this.#failures);
    this.#failures++;
    return Math.max(this.#shortest, wait * (0.75 + 0.25 * this.#random()));
  }
}
