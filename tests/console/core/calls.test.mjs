import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { Calls, DOUBT_MS, KEPT_ENDED } = await load("calls");
const { questionOf, timeline } = await load("turns");
const { entriesOf } = await load("recorded");
const { agreement, recognizers, sinkLines, troubles } = await load("pods");
const { heardBefore, recognizersOf } = await load("recognizers");

/** Events of one stream, numbered and 100 ms apart. */
class Script {
  constructor(sid = "CA1", stream = "MZ1") {
    this.ids = { call_sid: sid, stream_sid: stream };
    this.seq = 0;
    this.at = 1_700_000_000;
  }

  event(type, fields = {}) {
    this.seq++;
    this.at += 0.1;
    return { type, ...this.ids, seq: this.seq, at: this.at, id: `${this.ids.stream_sid}-${this.seq}`, ...fields };
  }

  started(stream = 1) {
    return this.event("call.started", { agent: "reception", direction: "inbound", streaming: true, from: "+97254", to: "+9723", stream });
  }

  utterance(type, fields) {
    return this.event(type, { index: 0, utterance_id: "CA1-0", ...fields });
  }
}

const begun = (script) => script.utterance("utterance.started", { begin_ms: 800, speech_ms: 1000, mode: "streaming", flag_variant: "on", flag_reason: "STATIC" });
const final = (script, text, fields = {}) =>
  script.utterance("final", { text, source: "final", mode: "streaming", begin_ms: 800, end_ms: 2000, words: 2, partials: 2, first_partial_ms: 300, latency_ms: 500, unvoiced: false, unconfirmed: false, confirms: null, ...fields });
const entries = (calls, sid = "CA1") => [...calls.get(sid).entries.values()];

test("an utterance grows, is tentative, withdrawn, final and revised", () => {
  const [calls, script] = [new Calls(), new Script()];
  const take = (event) => calls.observe(event);
  take(script.started());
  take(begun(script));
  take(script.utterance("partial", { text: "אני", number: 1 }));
  take(script.utterance("partial", { text: "אני רוצה", number: 2 }));
  const [entry] = entries(calls);
  assert.deepEqual([entry.before, entry.text, entry.variant], ["אני", "אני רוצה", "on"]);
  assert.equal(calls.get("CA1").speaker, "caller");

  take(script.utterance("tentative", { text: "אני רוצה", number: 1, end_ms: 1900 }));
  assert.equal(entry.tentative.text, "אני רוצה");
  take(script.utterance("withdrawn", { number: 1, reason: "speech" }));
  assert.deepEqual([entry.tentative, entry.withdrawn.reason], [null, "speech"]);
  take(script.utterance("tentative", { text: "אני רוצה תור", number: 2, end_ms: 1990 }));
  take(script.utterance("utterance.ended", { end_ms: 2000 }));
  take(final(script, "אני רוצה תור", { confirms: 2 }));
  assert.deepEqual([entry.tentative, entry.final.confirms, entry.withdrawn], [null, 2, null]);
  take(script.utterance("revised", { text: "אני רוצה דוח", latency_ms: 900, unconfirmed: false }));
  assert.deepEqual([entry.final.text, entry.text], ["אני רוצה תור", "אני רוצה דוח"]);
  assert.equal(entries(calls).length, 1);
});

test("a call says whether it streams now, and not how it began", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(script.started());
  calls.observe(script.utterance("utterance.started", { begin_ms: 0, speech_ms: 0, mode: "single", flag_variant: "off", flag_reason: "STATIC" }));
  assert.equal(calls.get("CA1").streaming, false);
  calls.observe(script.utterance("utterance.started", { index: 1, begin_ms: 0, speech_ms: 0, mode: "streaming", flag_variant: "on", flag_reason: "STATIC" }));
  assert.equal(calls.get("CA1").streaming, true);
});

test("a withdrawal of a tentative that never came changes nothing", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(begun(script));
  calls.observe(script.utterance("withdrawn", { number: 1, reason: "text" }));
  assert.equal(entries(calls)[0].withdrawn, null);
});

test("of a reply that is interrupted and goes on the page shows what was heard in the end", () => {
  const [calls, script] = [new Calls(), new Script()];
  const reply = (type, fields) => calls.observe(script.event(type, { reply_id: "MZ1-r1", turn: 1, ...fields }));
  reply("reply.started", { phrase: null, latency_ms: 740 });
  reply("reply.sentence", { index: 0, text: "בשמחה.", begin_ms: 0 });
  reply("reply.interrupted", { heard: "בשמחה." });
  const [entry] = entries(calls);
  assert.equal(entry.interrupted, true);
  reply("reply.resumed", { index: 1 });
  reply("reply.sentence", { index: 1, text: "יש תור.", begin_ms: 900 });
  assert.deepEqual([entry.interrupted, entry.heard, entry.resumed], [false, null, 1]);
  reply("reply.ended", { intended: "בשמחה. יש תור.", heard: "בשמחה. יש", interrupted: true, latency_ms: 740, fault: null });
  assert.deepEqual([entry.ended, entry.heard, entry.interrupted], [true, "בשמחה. יש", true]);
});

test("an event that came before, or that the snapshot knows, is passed over", () => {
  const [calls, script] = [new Calls(), new Script()];
  const events = [script.started(), begun(script), script.utterance("partial", { text: "אני", number: 1 })];
  calls.reset({ calls: [{ call_sid: "CA1", stream_sid: "MZ1", seq: 2, started_at: "2026-01-31T12:00:00Z", agent: "a", from: "", to: "", direction: "inbound", streaming: true, stream: 1, pod: "p" }] });
  assert.deepEqual(events.map((event) => calls.observe(event)), [false, false, true]);
  assert.equal(calls.observe(events[2]), false);
  assert.equal(entries(calls).length, 1);
});

test("a call that a snapshot does not list is over", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(script.started());
  calls.reset({ calls: [] });
  assert.deepEqual([calls.live, calls.get("CA1").over.reason], [0, "unknown"]);
});

const listed = (more = {}) => ({ call_sid: "CA1", stream_sid: "MZ1", seq: 1, started_at: "2026-01-31T12:00:00Z", agent: "a", from: "", to: "", direction: "inbound", streaming: true, stream: 1, pod: "p", ...more });
const [answers, away] = [{ pod: "p", reachable: true }, { pod: "q", reachable: false, why: "It does not answer." }];

test("a call that a snapshot cannot list, for its pod does not answer, goes on", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(script.started());
  calls.place({ calls: [listed({ pod: "q" })], peers: [answers] });
  calls.reset({ calls: [], peers: [answers, away] });
  assert.deepEqual([calls.live, calls.doubtful], [1, true]);
  calls.place({ calls: [], peers: [answers, away] }, Date.now() + DOUBT_MS);
  assert.equal(calls.live, 1);
  calls.place({ calls: [], peers: [answers] }, Date.now() + DOUBT_MS);
  assert.deepEqual([calls.live, calls.doubtful, calls.get("CA1").over.reason], [0, false, "unknown"]);
});

test("a call of a pod that does answer is over, whichever other one does not", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(script.started());
  calls.place({ calls: [listed()], peers: [answers] });
  calls.reset({ calls: [], peers: [answers, away] });
  assert.deepEqual([calls.live, calls.doubtful], [0, false]);
});

test("a call that was taken for over is live again with its next event", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(script.started());
  calls.reset({ calls: [] });
  calls.observe(begun(script));
  assert.deepEqual([calls.live, calls.get("CA1").over], [1, null]);
});

test("a call that moved and came nowhere is over in the end", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(script.started());
  calls.observe(script.event("call.ended", { reason: "drained" }));
  calls.place({ calls: [], peers: [answers] });
  assert.deepEqual([calls.live, calls.doubtful], [1, true]);
  calls.place({ calls: [], peers: [answers] }, Date.now() + DOUBT_MS);
  assert.deepEqual([calls.live, calls.doubtful, calls.get("CA1").moving], [0, false, false]);
});

test("a call from a page's phone ends with its pod", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe({ ...script.started(), direction: "browser" });
  calls.observe(script.event("call.ended", { reason: "pod_left" }));
  assert.deepEqual([calls.live, calls.get("CA1").over.reason, calls.doubtful], [0, "pod_left", false]);
  assert.deepEqual(entries(calls).map((entry) => entry.text), ["The pod drained, and the call ended with it."]);
});

test("a call of which events were missed is not complete any more", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(script.started());
  calls.observe(begun(script));
  calls.reset({ calls: [listed({ seq: 2 })] });
  assert.equal(calls.get("CA1").complete, true);
  calls.reset({ calls: [listed({ seq: 9 })] });
  assert.equal(calls.get("CA1").complete, false);
});

test("a call that moves to another pod is one call, and its seq counts anew", () => {
  const [calls, first, second] = [new Calls(), new Script(), new Script("CA1", "MZ2")];
  calls.observe(first.started());
  calls.observe(first.event("call.ended", { reason: "drained" }));
  assert.deepEqual([calls.live, calls.get("CA1").moving], [1, true]);
  second.at = first.at;
  calls.observe(second.started(2));
  calls.observe(begun(second));
  assert.deepEqual(entries(calls).map((entry) => entry.kind), ["note", "note", "utterance"]);
  assert.equal(calls.get("CA1").moving, false);
  calls.observe(second.event("call.ended", { reason: "stop" }));
  assert.deepEqual([calls.live, calls.get("CA1").over.reason], [0, "stop"]);
});

test("events that come while the earlier ones are read are taken behind them, once", () => {
  const [calls, script] = [new Calls(), new Script()];
  const events = [script.started(), begun(script), script.utterance("partial", { text: "אני", number: 1 }), final(script, "אני רוצה"), script.event("dtmf", { digit: "5" })];
  calls.reset({ calls: [{ call_sid: "CA1", stream_sid: "MZ1", seq: 2, started_at: "2026-01-31T12:00:00Z", agent: "a", from: "", to: "", direction: "", streaming: true, stream: 1 }] });
  calls.observe(events[2]);
  assert.deepEqual([...calls.hold("CA1")], [["MZ1", 3]]);
  calls.observe(events[3]);
  calls.observe(events[4]);
  calls.release("CA1", events.slice(0, 4));
  assert.deepEqual(entries(calls).map((entry) => entry.kind), ["utterance", "keys"]);
  assert.equal(entries(calls)[0].text, "אני רוצה");
  assert.equal(calls.get("CA1").complete, true);
});

test("keys that follow each other are one entry, and hidden ones are dots", () => {
  const [calls, script] = [new Calls(), new Script()];
  ["1", "2", ""].forEach((digit) => calls.observe(script.event("dtmf", { digit })));
  assert.deepEqual(entries(calls).map((entry) => entry.digits), ["12•"]);
});

test("only what changed is to be drawn", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(begun(script));
  calls.changed.clear();
  calls.observe(script.utterance("partial", { text: "אני", number: 1 }));
  assert.deepEqual([...calls.changed.get("CA1")], entries(calls));
});

test("calls that are over are forgotten but for the newest, and never the one that is read", () => {
  const calls = new Calls();
  for (let number = 0; number < KEPT_ENDED + 5; number++) {
    const script = new Script(`CA${number}`, `MZ${number}`);
    script.at += number;
    calls.observe(script.started());
    calls.observe(script.event("call.ended", { reason: "stop" }));
  }
  calls.tidy("CA0");
  assert.equal(calls.all.length, KEPT_ENDED + 1);
  assert.ok(calls.get("CA0"));
  assert.equal(calls.get("CA1"), undefined);
});

test("a turn's timeline counts from the caller's last sample", () => {
  const [calls, script] = [new Calls(), new Script()];
  calls.observe(begun(script));
  calls.observe(script.utterance("tentative", { text: "אני רוצה", number: 1, end_ms: 1990 }));
  calls.observe(script.utterance("utterance.ended", { end_ms: 2000 }));
  calls.observe(final(script, "אני רוצה"));
  const parts = { text_ms: 200, first_token_ms: 350, first_piece_ms: 20, first_sound_ms: 120, commit_ms: 50 };
  calls.observe(script.event("reply.started", { reply_id: "r1", turn: 1, phrase: null, latency_ms: 740 }));
  calls.observe(script.event("reply.ended", { reply_id: "r1", turn: 1, intended: "כן", heard: "כן", interrupted: false, fault: null, latency_ms: 740, ...parts }));
  const all = entries(calls);
  assert.equal(questionOf(all, all[1]), all[0]);
  const shown = timeline(all[0], all[1]);
  assert.equal(shown.speechMs, 1000);
  assert.deepEqual(shown.points.map(({ name, ms }) => [name, Math.round(ms)]), [["tentative", 300], ["quiet", 400], ["final", 500], ["reply", 740]]);
  assert.deepEqual(shown.parts.map(({ from, to }) => [from, to]), [[0, 200], [200, 550], [550, 570], [570, 690], [690, 740]]);
});

test("a stored call is a conversation in its order", () => {
  const utterance = { stream_sid: "MZ1", index: 0, utterance_id: "CA1-0", started_at: "2026-01-31T12:00:00Z", begin_ms: 0, end_ms: 900, text: "אני רוצה תור", revised_text: null, source: "final", mode: "streaming", partials: 1, first_partial_ms: 1, final_ms: 400, trace_id: "ab", unvoiced: false, unconfirmed: false };
  const reply = { stream_sid: "MZ1", reply_id: "MZ1-r1", turn: 1, kind: "answer", phrase: null, started_at: "2026-01-31T12:00:02Z", ended_at: "2026-01-31T12:00:03Z", intended: "בְּשִׂמְחָה", heard: "בשמחה", interrupted: false, latency_ms: 700, fault: null };
  const tool = { stream_sid: "MZ1", turn: 1, at: "2026-01-31T12:00:01Z", tool: "save_lead", arguments: "{}", outcome: "done", duration_ms: 3, event_id: "MZ1-9" };
  const order = [["utterance", "CA1-0"], ["tool_call", "MZ1-9"], ["reply", "MZ1-r1"]].map(([kind, id]) => ({ kind, id, stream_sid: "MZ1" }));
  const all = entriesOf({ utterances: [utterance], replies: [reply], tool_calls: [tool], conversation: order });
  assert.deepEqual(all.map((entry) => entry.kind), ["utterance", "tool", "reply"]);
  assert.deepEqual([all[0].text, all[1].name, all[2].heard], ["אני רוצה תור", "save_lead", "בשמחה"]);
});

test("pods agree or differ, and what is wrong with one is named", () => {
  const at = (name, tuning, more = {}) => ({ pod: name, status: { version: "1", tuning: { revision: tuning }, live: { flags_revision: "f" }, reply: { revision: "r" }, ...more } });
  const found = agreement([at("a", "t1"), at("b", "t2"), { pod: "c", status: null }]);
  assert.deepEqual([...found.find((each) => each.name === "Tuning").values], [["t1", ["a"]], ["t2", ["b"]]]);
  assert.equal(found.find((each) => each.name === "Flags").values.size, 1);
  const wrong = troubles({
    live: { refusals: [{ file: "flags.json", flag: "streaming-stt", why: "It has no variant." }] },
    recognizer: { health: { streaming: { state: "open", reason: "quota", retry_in_s: 2.2 }, single: { state: "closed", reason: "", retry_in_s: null } } },
    tasks: { listener: { state: "idle" }, "store.writer": { state: "failing", last_fault: "OSError" } },
    plugins: [{ name: "bot", state: "ended" }, { name: "other", state: "blocked", last_fault: null }],
  });
  assert.deepEqual(wrong, [
    { what: "flags.json, streaming-stt is refused", why: "It has no variant." },
    { what: "no call uses streaming", why: "quota; tried again in 3 s", remedy: "" },
    { what: "store.writer is failing", why: "OSError" },
    { what: "plug-in other is blocked", why: "" },
  ]);
});

test("what waits for a sink is told, and a sink that does not deliver is wrong with its pod", () => {
  const crm = { kind: "webhook", target: "https://crm.example.com", state: "retrying", pending: 12, oldest_s: 75.2, dead_letters: 1, fault: "HTTP 503" };
  const log = { kind: "nats", target: "nats:4222", state: "standing_by", pending: 0, oldest_s: 0, dead_letters: 0, fault: null };
  const status = { sinks: { crm, log } };
  assert.deepEqual(sinkLines(status), [
    "crm (webhook https://crm.example.com): retrying, 12 events wait, the oldest for 1:15",
    "log (nats nats:4222): standing by, nothing waits",
  ]);
  assert.deepEqual(troubles(status), [
    { what: "sink crm does not deliver", why: "HTTP 503" },
    { what: "sink crm has 1 dead letter", why: "" },
  ]);
  assert.deepEqual([sinkLines({}), troubles({})], [[], []]);
});

const heard = (calls, script, ...names) =>
  names.forEach((recognizer, index) => calls.observe(script.event("final", { index, text: "כן", source: recognizer ? "final" : "single", latency_ms: 400, recognizer })));

test("a call names who heard it, and an utterance who heard the one before, where that was another one", () => {
  const [calls, script] = [new Calls(), new Script()];
  assert.equal(recognizersOf([]), "");
  heard(calls, script, "google", "google", "", "soniox", "soniox");
  const all = entries(calls);
  assert.equal(recognizersOf(all), "google, then soniox");
  assert.deepEqual(all.map((each) => heardBefore(each, all)), ["", "", "", "google", ""]);
  heard(calls, script, "google", "soniox", "google", "soniox");
  assert.equal(recognizersOf(entries(calls)), "soniox, after 3 changes");
});

test("a call names who hears it before its first final, and after a change before the next one", () => {
  const [calls, script] = [new Calls(), new Script()];
  const named = () => recognizersOf(entries(calls), calls.get("CA1").recognizer);
  const listed = (recognizer) => ({ calls: [{ call_sid: "CA1", stream_sid: "MZ1", seq: script.seq, started_at: "2026-01-31T12:00:00Z", recognizer }] });
  calls.observe(script.started());
  assert.equal(named(), "");
  calls.changed.clear();
  calls.place(listed("google"));
  assert.equal(named(), "google");
  assert.ok(calls.changed.has("CA1"));
  calls.observe(script.utterance("utterance.started", { begin_ms: 0, speech_ms: 0, mode: "streaming", recognizer: "google" }));
  calls.observe(script.utterance("partial", { text: "אני", number: 1, recognizer: "google" }));
  assert.deepEqual([named(), entries(calls)[0].recognizer], ["google", "google"]);
  calls.observe(script.utterance("partial", { text: "אני רוצה", number: 2, recognizer: "soniox" }));
  assert.deepEqual([named(), entries(calls)[0].recognizer], ["soniox", "soniox"]);
  calls.observe(final(script, "אני רוצה תור", { recognizer: "soniox" }));
  calls.observe(script.utterance("utterance.started", { index: 1, begin_ms: 0, speech_ms: 0, mode: "streaming", recognizer: "google" }));
  assert.equal(named(), "soniox, then google");
  calls.place(listed("soniox"));
  assert.equal(named(), "soniox, then google", "an older snapshot changes nothing");
  calls.observe(script.utterance("utterance.started", { index: 2, begin_ms: 0, speech_ms: 0, mode: "single", recognizer: "" }));
  assert.equal(named(), "soniox");
  calls.reset(listed("google"));
  assert.equal(named(), "soniox, then google");
});

const closed = { state: "closed", reason: "", said: "", remedy: "", retry_in_s: null };
const asked = (name, breaker = closed, check = { state: "accepted", reason: "" }) => [name, { endpoint: `${name}.example`, streams: 2, limit: 10, breaker, check }];
const pod = (...streaming) => ({ flags: { recognizer: "google" }, recognizer: { streaming: Object.fromEntries(streaming), health: { streaming: closed, single: closed } } });
const refused = { state: "open", reason: "unauthenticated", said: "401: no such key", remedy: "Set the key.", retry_in_s: 5.1 };

test("new calls use the recognizer that the flag named last, and else the first one that may be used", () => {
  const chosen = (status) => recognizers(status).filter((each) => each.chosen).map((each) => each.name);
  assert.deepEqual(recognizers(pod(asked("google"))), [{ name: "google", endpoint: "google.example", state: "closed", chosen: true, used: 2, limit: 10 }]);
  assert.deepEqual(chosen({ ...pod(asked("google"), asked("soniox")), flags: { recognizer: "soniox" } }), ["soniox"]);
  assert.deepEqual(chosen({ ...pod(asked("google"), asked("soniox", refused)), flags: { recognizer: "soniox" } }), ["google"]);
  assert.deepEqual(chosen(pod(asked("google", { ...closed, state: "half_open" }), asked("soniox"))), ["soniox"]);
  assert.deepEqual(chosen(pod(asked("google", refused), asked("soniox", refused))), []);
  assert.deepEqual(recognizers({}), []);
});

test("pods that have a choice of recognizers agree on it, or differ", () => {
  const both = pod(asked("google"), asked("soniox"));
  const rows = (...statuses) => agreement(statuses.map((status, number) => ({ pod: `p${number}`, status })));
  const values = (found, name) => [...(found.find((each) => each.name === name)?.values ?? [])];
  const held = rows(both, pod(asked("google", refused), asked("soniox")));
  assert.deepEqual(values(held, "Recognizers"), [["google, then soniox", ["p0", "p1"]]]);
  assert.deepEqual(values(held, "Recognizer of new calls"), [["google", ["p0"]], ["soniox", ["p1"]]]);
  assert.deepEqual(values(rows(pod(asked("google"))), "Recognizers"), []);
});

test("a recognizer that is not used is named with its reason, in its own words too, and the remedy, once", () => {
  const status = pod(asked("google", { ...closed, state: "half_open", reason: "quota" }), asked("soniox", refused), asked("other", closed, { state: "no_answer", reason: "unavailable", said: "", remedy: "" }));
  status.recognizer.health.single = { ...refused, retry_in_s: null };
  assert.deepEqual(troubles(status), [
    { what: "google is on trial, by one call", why: "quota", remedy: "" },
    { what: "no call uses soniox", why: "unauthenticated (401: no such key); tried again in 6 s", remedy: "Set the key." },
    { what: "other does not answer the service", why: "unavailable", remedy: "" },
    { what: "no call uses single requests", why: "unauthenticated (401: no such key)", remedy: "" },
  ]);
});
