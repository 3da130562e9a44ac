/**
 * The event feed of all pods. It connects again by itself, from where it was, for as long as the page is open.
 *
 * `on` gets each state (`connecting`, `live`, `waiting`; `refused`: no valid token; `forbidden`: the token lacks a right), each snapshot and each event;
 * `on.begin` is awaited before each attempt, and what it raises fails the attempt.
 */

import { Backoff } from "../core/backoff.js";
import { EventStreamParser } from "../core/sse.js";

const SILENCE_MS = 40_000; // the service sends a comment every 15 s
const SLICE_MS = 8; // of work, before the page may draw

export class Feed {
  #client;
  #on;
  #backoff;
  #stopped = new AbortController();
  #wake = () => {};
  #cursor = "";

  constructor(client, on, backoff = new Backoff()) {
    this.#client = client;
    this.#on = on;
    this.#backoff = backoff;
  }

  stop() {
    this.#stopped.abort();
    this.#wake();
  }

  /** Connect at once, instead of waiting. */
  hurry() {
    this.#wake();
  }

  /** Follow until `stop`, or until the token is refused. */
  async run() {
    while (!this.#stopped.signal.aborted) {
      this.#on.state("connecting");
      try {
        await this.#on.begin();
        await this.#follow();
        await this.#wait("The service ended the feed.");
      } catch (error) {
        if (error.status === 401 || error.status === 403) {
          this.#on.state(error.status === 401 ? "refused" : "forbidden", error.message);
          return;
        }
        if (error.status === 400) {
          this.#cursor = ""; // of another version of the service
        }
        await this.#wait(error.status ? error.message : "The service does not answer.");
      }
    }
  }

  async #follow() {
    if (!this.#cursor) {
      await this.#snapshot();
    }
    const headers = { Accept: "text/event-stream", "Last-Event-ID": this.#cursor };
    await readEvents(this.#client, "/v1/events?scope=fleet", { headers, signal: this.#stopped.signal }, {
      open: () => {
        this.#backoff.succeeded();
        this.#on.state("live");
      },
      cursor: (id) => (this.#cursor = id),
      retry: (ms) => this.#backoff.atLeast(ms),
      event: (event) => (event.type === "gap" ? this.#snapshot() : this.#on.event(event)),
    });
  }

  async #snapshot() {
    const snapshot = await this.#client.get("/v1/calls", { scope: "fleet" }, this.#stopped.signal);
    this.#cursor ||= snapshot.cursor;
    this.#on.snapshot(snapshot);
  }

  async #wait(why) {
    if (this.#stopped.signal.aborted) {
      return;
    }
    const ms = this.#backoff.next();
    this.#on.state("waiting", why, ms);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
  }
}

/**
 * Read a stream of events to its end, in slices that leave the page time to draw. Raises `ApiError`.
 *
 * A hidden page draws nothing, and its timers come once a second, or once a minute: it does not wait for them.
 */
export async function readEvents(client, path, options, on) {
  const given = new AbortController();
  const abort = () => given.abort();
  options.signal?.addEventListener("abort", abort);
  let silence = setTimeout(abort, SILENCE_MS);
  try {
    const response = await client.open(path, { ...options, signal: given.signal });
    if (response.status === 204) {
      return;
    }
    on.open?.();
    const parser = new EventStreamParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let begun = performance.now();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(silence);
      silence = setTimeout(abort, SILENCE_MS);
      for (const { data, id } of parser.push(part.value)) {
        await on.event(JSON.parse(data));
        on.cursor?.(id);
        if (performance.now() - begun > SLICE_MS && !document.hidden) {
          await new Promise((resolve) => setTimeout(resolve));
          begun = performance.now();
        }
      }
      on.cursor?.(parser.lastId);
      if (parser.retryMs) {
        on.retry?.(parser.retryMs);
      }
      begun = performance.now();
    }
  } finally {
    clearTimeout(silence);
    options.signal?.removeEventListener("abort", abort);
    abort();
  }
}

/**
 * Return what the pods still keep of a call, from its beginning. `known` has the `seq` of each stream that the page
 * knows: the stream of events is read up to there.
 */
export async function earlierEvents(client, callSid, known) {
  const missing = new Map(known);
  const events = [];
  const enough = new AbortController();
  const path = `/v1/calls/${encodeURIComponent(callSid)}/events?scope=fleet`;
  const limit = setTimeout(() => enough.abort(), EARLIER_MS);
  try {
    await readEvents(client, path, { headers: { "Last-Event-ID": BEFORE_ALL }, signal: enough.signal }, {
      event: (event) => {
        if (event.call_sid !== callSid) {
          return;
        }
        events.push(event);
        if (event.seq >= (missing.get(event.stream_sid) ?? Infinity)) {
          missing.delete(event.stream_sid);
        }
        if (!missing.size) {
          enough.abort();
        }
      },
    });
  } catch (error) {
    if (!enough.signal.aborted) {
      throw error;
    }
  } finally {
    clearTimeout(limit);
  }
  return events;
}

const EARLIER_MS = 3000;
const BEFORE_ALL = "0000000000000000-0"; // of a process that is gone: every event that is kept follows it
