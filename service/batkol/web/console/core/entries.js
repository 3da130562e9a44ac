/**
 * What was said and done in a call, in the order in which it began: utterances, replies, tools, keys, notes.
 *
 * Each entry has `kind`, `id` (unique in its call) and `at` (Unix ms). `observe` applies one event of the feed and
 * returns the entry that changed. Live events and the history make the same entries, so one view shows both.
 */

export function utteranceOf(streamSid, index, at) {
  return {
    kind: "utterance",
    id: `${streamSid}/${index}`,
    at,
    index,
    mode: null,
    variant: null,
    reason: null,
    recognizer: "", // the streaming one that gave the newest text, or hears it
    beginMs: null,
    speechMs: null,
    endMs: null,
    text: "",
    before: "", // the text before the newest partial
    partials: 0,
    tentative: null, // {number, text, at, endMs}: the one that stands
    withdrawn: null, // {number, text, reason}: the newest one that no longer holds
    tentatives: 0,
    tentativeAt: null, // of the newest one
    quietAt: null, // when the hang-over was over
    final: null, // {text, source, recognizer, at, latencyMs, firstPartialMs, words, unvoiced, unconfirmed, confirms}
    revised: null,
    traceId: null,
  };
}

export function replyOf(id, at) {
  return {
    kind: "reply",
    id,
    at,
    turn: 0,
    phrase: null,
    sentences: [],
    intended: null,
    heard: null,
    interrupted: false,
    resumed: 0,
    ended: false,
    failed: null,
    fault: null,
    latencyMs: null,
    parts: null, // {text_ms, first_token_ms, first_piece_ms, first_sound_ms, commit_ms}
    maker: null, // {kind, answerer, voice, answererVariant, voiceVariant, attempts, promptTokens, completionTokens}
  };
}

/** The parts of a reply's latency, in their order, and what each ends with. */
export const PARTS = [
  ["text_ms", "asked"],
  ["first_token_ms", "first token"],
  ["first_piece_ms", "first words"],
  ["first_sound_ms", "first sound"],
  ["commit_ms", "on the line"],
];

/** Apply an event to `entries`, a Map by id. Returns the entry that it made or changed, or null. */
export function observe(entries, event) {
  const change = CHANGES[event.type];
  return change ? change(entries, event, event.at * 1000) : null;
}

const CHANGES = {
  "utterance.started": (entries, event, at) =>
    Object.assign(utterance(entries, event, at), {
      mode: event.mode,
      variant: event.flag_variant,
      reason: event.flag_reason,
      recognizer: event.recognizer ?? "",
      beginMs: event.begin_ms,
      speechMs: event.speech_ms,
    }),
  partial: (entries, event, at) => {
    const entry = utterance(entries, event, at);
    const recognizer = event.recognizer || entry.recognizer;
    return Object.assign(entry, { before: entry.text, text: event.text, partials: event.number, recognizer });
  },
  tentative: (entries, event, at) =>
    Object.assign(utterance(entries, event, at), {
      tentative: { number: event.number, text: event.text, at, endMs: event.end_ms },
      withdrawn: null,
      tentatives: event.number,
      tentativeAt: at,
    }),
  withdrawn: (entries, event, at) => {
    const entry = utterance(entries, event, at);
    if (entry.tentative?.number === event.number) {
      entry.withdrawn = { number: event.number, text: entry.tentative.text, reason: event.reason };
      entry.tentative = null;
    }
    return entry;
  },
  "utterance.ended": (entries, event, at) =>
    Object.assign(utterance(entries, event, at), { quietAt: at, endMs: event.end_ms }),
  final: (entries, event, at) => {
    const entry = utterance(entries, event, at);
    return Object.assign(entry, {
      before: event.text,
      text: event.text,
      mode: event.mode,
      beginMs: event.begin_ms,
      endMs: event.end_ms,
      partials: event.partials,
      tentative: null,
      traceId: event.trace_id ?? entry.traceId,
      final: {
        text: event.text,
        source: event.source,
        recognizer: event.recognizer ?? "",
        at,
        latencyMs: event.latency_ms,
        firstPartialMs: event.first_partial_ms,
        words: event.words,
        unvoiced: event.unvoiced,
        unconfirmed: event.unconfirmed,
        confirms: event.confirms,
      },
    });
  },
  revised: (entries, event, at) => {
    const entry = utterance(entries, event, at);
    return Object.assign(entry, { revised: { text: event.text, at }, text: event.text, before: event.text });
  },
  "reply.started": (entries, event, at) =>
    Object.assign(reply(entries, event, at), { phrase: event.phrase, latencyMs: event.latency_ms }),
  "reply.sentence": (entries, event, at) => {
    const entry = reply(entries, event, at);
    entry.sentences[event.index] = event.text;
    return Object.assign(entry, { interrupted: false });
  },
  "reply.interrupted": (entries, event, at) =>
    Object.assign(reply(entries, event, at), { interrupted: true, heard: event.heard }),
  "reply.resumed": (entries, event, at) => {
    const entry = reply(entries, event, at);
    return Object.assign(entry, { interrupted: false, heard: null, resumed: entry.resumed + 1 });
  },
  "reply.ended": (entries, event, at) => {
    const entry = reply(entries, event, at);
    return Object.assign(entry, {
      ended: true,
      intended: event.intended,
      heard: event.heard,
      interrupted: event.interrupted,
      fault: event.fault,
      latencyMs: event.latency_ms,
      parts: event,
      maker: event,
    });
  },
  "reply.failed": (entries, event, at) =>
    Object.assign(reply(entries, event, at), { failed: { part: event.part, reason: event.reason } }),
  "tool.called": (entries, event, at) =>
    added(entries, {
      kind: "tool",
      id: event.id,
      at,
      name: event.name,
      arguments: event.arguments,
      outcome: event.outcome,
      durationMs: event.duration_ms,
    }),
  dtmf: keys,
};

function utterance(entries, event, at) {
  const id = `${event.stream_sid}/${event.index}`;
  return entries.get(id) ?? added(entries, utteranceOf(event.stream_sid, event.index, at));
}

function reply(entries, event, at) {
  const id = event.reply_id || event.id; // a failure before the first sound belongs to no reply
  const entry = entries.get(id) ?? added(entries, replyOf(id, at));
  entry.turn = event.turn || entry.turn;
  return entry;
}

/** Join keys that follow each other to one entry. */
function keys(entries, event, at) {
  const last = [...entries.values()].at(-1);
  if (last?.kind === "keys") {
    last.digits += event.digit || "•";
    return last;
  }
  return added(entries, { kind: "keys", id: event.id, at, digits: event.digit || "•" });
}

export function added(entries, entry) {
  entries.set(entry.id, entry);
  return entry;
}
