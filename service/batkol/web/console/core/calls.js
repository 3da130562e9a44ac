/**
 * The live calls of all pods, from snapshots and from the events behind them.
 *
 * The feed may repeat events and a snapshot may know them already: `seq` of each stream says which are new. What
 * changed is collected in `changed` until a view draws it.
 */

import { added, observe } from "./entries.js";
import { endedBecause } from "./reasons.js";

export const KEPT_ENDED = 20; // calls that are over and still shown
export const DOUBT_MS = 20_000; // for which a call may be heard of nowhere: the next stream of one that moves comes within 15 s
const QUIET = new Set(["mark", "withdrawn", "utterance.ended"]); // events that leave the line of a call as it is

export class Calls {
  #calls = new Map();

  constructor() {
    this.changed = new Map(); // call SID -> the entries that changed, or null: all of the call
    this.listChanged = false; // calls came, ended or went
    this.peers = [];
  }

  get(sid) {
    return this.#calls.get(sid);
  }

  /** Calls that are up, newest first; then those that are over. */
  get all() {
    return [...this.#calls.values()].sort((a, b) => Boolean(a.over) - Boolean(b.over) || b.startedAt - a.startedAt);
  }

  get live() {
    return [...this.#calls.values()].filter((call) => !call.over).length;
  }

  /** Whether there are calls of which it is not known so far whether they go on: `place` is to look for them. */
  get doubtful() {
    return [...this.#calls.values()].some((call) => call.doubtedAt);
  }

  /** Take a snapshot of all calls: those that it does not list are over, unless a pod that does not answer may have them. */
  reset({ calls, peers = [] }) {
    const listed = new Set(calls.map((each) => each.call_sid));
    for (const call of this.#calls.values()) {
      if (listed.has(call.sid) || call.over) {
        continue;
      }
      if (mayBeAway(call, peers)) {
        call.doubtedAt ||= Date.now();
      } else {
        this.#end(call, "unknown", Date.now());
      }
    }
    calls.forEach((each) => this.#list(each));
    this.peers = peers;
    this.listChanged = true;
  }

  /** Take the names of pods and of recognizers not heard of so far from a snapshot, and end the calls in doubt for too long of which no pod knows. */
  place({ calls, peers = [] }, now = Date.now()) {
    const listed = new Set(calls.map((each) => each.call_sid));
    for (const call of this.#calls.values()) {
      if (listed.has(call.sid)) {
        call.doubtedAt = 0;
      } else if (call.doubtedAt && now - call.doubtedAt >= DOUBT_MS && !mayBeAway(call, peers)) {
        this.#end(call, "unknown", now);
      }
    }
    for (const { call_sid: sid, pod, recognizer } of calls) {
      const call = this.#calls.get(sid);
      const news = call && { pod: pod || call.pod, recognizer: call.recognizer || recognizer || "" };
      if (call && (call.pod !== news.pod || call.recognizer !== news.recognizer)) {
        Object.assign(call, news);
        this.changed.set(sid, this.changed.get(sid) ?? new Set());
      }
    }
    this.peers = peers;
  }

  /** Apply one event of the feed. Returns whether it was new. */
  observe(event) {
    if (event.type === "peers") {
      this.peers = event.peers;
      this.listChanged = true;
      return true;
    }
    if (!event.call_sid) {
      return false;
    }
    const call = this.#calls.get(event.call_sid) ?? this.#add(event.call_sid, event.at * 1000);
    if (call.held) {
      call.held.push(event);
      return true;
    }
    return this.#apply(call, event);
  }

  /** Keep the events of a call back while its earlier ones are read. */
  hold(sid) {
    const call = this.#calls.get(sid);
    call.held = [];
    return new Map(call.seqs);
  }

  /** Take the earlier events of a call, and those that came meanwhile. */
  release(sid, earlier) {
    const call = this.#calls.get(sid);
    const held = call.held ?? [];
    call.held = null;
    if (earlier.length) {
      call.entries.clear();
      call.seqs.clear();
      earlier.forEach((event) => this.#apply(call, event));
    }
    call.complete = earlier.some((event) => event.type === "call.started" && event.stream === 1);
    held.forEach((event) => this.#apply(call, event));
    this.changed.set(sid, null);
  }

  /** Forget calls that are over, but for the newest ones and `kept`. */
  tidy(kept) {
    const over = this.all.filter((call) => call.over && call.sid !== kept);
    for (const call of over.slice(KEPT_ENDED)) {
      this.#calls.delete(call.sid);
      this.listChanged = true;
    }
  }

  #add(sid, at) {
    const call = {
      sid,
      startedAt: at,
      agent: "",
      from: "",
      to: "",
      direction: "",
      pod: "",
      streaming: null,
      recognizer: "", // the streaming one that hears it, as far as is known
      stream: 1,
      over: null, // {reason, at}
      moving: false, // between two streams
      doubtedAt: 0, // since when (Unix ms) it is not known whether it goes on
      speaker: "", // caller, agent, or empty
      line: null, // the entry whose text stands in the list
      failures: 0,
      entries: new Map(),
      seqs: new Map(), // by stream SID
      held: null,
      complete: false, // whether `entries` has the call from its beginning
    };
    this.#calls.set(sid, call);
    this.listChanged = true;
    return call;
  }

  #list(shown) {
    const call = this.#calls.get(shown.call_sid) ?? this.#add(shown.call_sid, Date.parse(shown.started_at));
    Object.assign(call, {
      agent: shown.agent,
      from: shown.from,
      to: shown.to,
      direction: shown.direction,
      pod: shown.pod ?? call.pod,
      streaming: shown.streaming,
      recognizer: shown.recognizer || call.recognizer,
      stream: shown.stream,
      over: null,
      moving: false,
      doubtedAt: 0,
    });
    const seq = call.seqs.get(shown.stream_sid) ?? 0;
    call.complete &&= shown.seq <= seq; // what is between never came, or comes and is passed over
    call.seqs.set(shown.stream_sid, Math.max(shown.seq, seq));
    this.changed.set(call.sid, null);
  }

  #apply(call, event) {
    if (event.seq <= (call.seqs.get(event.stream_sid) ?? 0)) {
      return false;
    }
    call.seqs.set(event.stream_sid, event.seq);
    call.doubtedAt = 0;
    if (event.type === "call.started") {
      this.#start(call, event);
    } else if (event.type === "call.ended") {
      this.#endStream(call, event);
    } else {
      this.#revive(call);
      this.#enter(call, event);
    }
    return true;
  }

  #start(call, event) {
    if (event.stream > 1) {
      this.#note(call, event, `The call goes on in stream ${event.stream}.`);
    }
    Object.assign(call, {
      agent: event.agent,
      from: event.from || call.from,
      to: event.to || call.to,
      direction: event.direction,
      streaming: event.streaming,
      stream: event.stream,
      startedAt: Math.min(call.startedAt, event.at * 1000),
      pod: event.pod ?? call.pod,
      over: null,
      moving: false,
      complete: call.complete || event.stream === 1,
    });
    this.listChanged = true;
    this.changed.set(call.sid, null);
  }

  #endStream(call, event) {
    const moves = event.reason === "drained";
    if (moves || event.reason === "replaced") {
      call.moving = moves;
      call.doubtedAt = moves ? Date.now() : 0;
      this.#note(call, event, moves ? "The pod drains; the call moves." : "A newer stream took over.");
      return;
    }
    this.#end(call, event.reason, event.at * 1000);
    this.#note(call, event, endedBecause(event.reason));
  }

  /** A call that was taken for over is not: a pod sends its events. */
  #revive(call) {
    if (call.over?.reason === "unknown") {
      call.over = null;
      this.listChanged = true;
      this.changed.set(call.sid, null);
    }
  }

  #end(call, reason, at) {
    Object.assign(call, { over: { reason, at }, speaker: "", moving: false, doubtedAt: 0 });
    this.listChanged = true;
    this.changed.set(call.sid, null);
  }

  #note(call, event, text) {
    this.#mark(call, added(call.entries, { kind: "note", id: event.id, at: event.at * 1000, text }));
  }

  #enter(call, event) {
    const entry = observe(call.entries, event);
    if (!entry) {
      return;
    }
    call.speaker = SPEAKER[event.type] ?? call.speaker;
    if (event.type === "utterance.started") {
      call.streaming = event.mode === "streaming"; // the flag may be flipped in the middle of a call
    }
    if (entry.kind === "utterance") {
      const none = event.type === "utterance.started" && event.recognizer === ""; // with a single request
      call.recognizer = none ? "" : event.recognizer || call.recognizer;
    }
    if (event.type === "reply.failed") {
      call.failures++;
    }
    if (!QUIET.has(event.type) && (entry.kind === "utterance" || entry.kind === "reply")) {
      call.line = entry;
    }
    this.#mark(call, entry);
  }

  #mark(call, entry) {
    const entries = this.changed.get(call.sid);
    if (entries) {
      entries.add(entry);
    } else if (entries === undefined) {
      this.changed.set(call.sid, new Set([entry]));
    }
  }
}

/** Whether a pod that did not answer may have the call. */
function mayBeAway(call, peers) {
  const away = peers.some((peer) => !peer.reachable);
  return away && !peers.some((peer) => peer.reachable && peer.pod === call.pod);
}

const SPEAKER = {
  "utterance.started": "caller",
  partial: "caller",
  "utterance.ended": "",
  final: "",
  "reply.started": "agent",
  "reply.sentence": "agent",
  "reply.resumed": "agent",
  "reply.interrupted": "",
  "reply.ended": "",
};
