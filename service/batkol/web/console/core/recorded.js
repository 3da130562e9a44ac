/** A call of the history as the entries of a conversation (`core/entries.js`). */

import { replyOf, utteranceOf } from "./entries.js";

/** Return the entries of `GET /v1/history/calls/{sid}`, in the order in which they began. */
export function entriesOf({ utterances, replies, tool_calls: tools, conversation }) {
  const made = new Map([
    ...utterances.map((each) => [key("utterance", each.stream_sid, each.utterance_id), utterance(each)]),
    ...replies.map((each) => [key("reply", each.stream_sid, each.reply_id), reply(each)]),
    ...tools.map((each) => [key("tool_call", each.stream_sid, each.event_id), tool(each)]),
  ]);
  return conversation.map((each) => made.get(key(each.kind, each.stream_sid, each.id))).filter(Boolean);
}

function key(kind, streamSid, id) {
  return `${kind} ${streamSid} ${id}`;
}

function utterance(each) {
  const begun = Date.parse(each.started_at);
  const text = each.text ?? "";
  return Object.assign(utteranceOf(each.stream_sid, each.index, begun), {
    mode: each.mode,
    beginMs: each.begin_ms,
    endMs: each.end_ms,
    text: each.revised_text ?? text,
    before: each.revised_text ?? text,
    partials: each.partials ?? 0,
    traceId: each.trace_id,
    final: {
      text,
      source: each.source ?? "none",
      recognizer: each.recognizer ?? "",
      at: begun + (each.end_ms ?? 0) - (each.begin_ms ?? 0) + (each.final_ms ?? 0),
      latencyMs: each.final_ms,
      firstPartialMs: each.first_partial_ms,
      words: each.words,
      unvoiced: each.unvoiced,
      unconfirmed: each.unconfirmed,
      confirms: null,
    },
    revised: each.revised_text === null ? null : { text: each.revised_text, at: begun },
  });
}

function reply(each) {
  return Object.assign(replyOf(each.reply_id, Date.parse(each.started_at)), {
    turn: each.turn,
    phrase: each.phrase,
    intended: each.intended,
    heard: each.heard,
    interrupted: Boolean(each.interrupted),
    ended: true,
    fault: each.fault ?? (each.ended_at === null ? "the pod ended in the middle of the reply" : null),
    latencyMs: each.latency_ms,
    parts: each,
    maker: each,
  });
}

function tool(each) {
  return {
    kind: "tool",
    id: each.event_id,
    at: Date.parse(each.at),
    name: each.tool,
    arguments: each.arguments,
    outcome: each.outcome,
    durationMs: each.duration_ms,
  };
}
