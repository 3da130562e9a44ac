/** What the statuses of an agent's pods say together: whether they agree, and what is refused. */

import { count, duration } from "./format.js";

const COMPARED = [
  ["Version", (status) => status.version],
  ["Tuning", (status) => status.tuning?.revision ?? ""],
  ["Flags", (status) => status.live?.flags_revision ?? ""],
  ["Reply settings", (status) => status.reply?.revision ?? ""],
];

const RECOGNIZERS = [
  ["Recognizers", (status) => recognizers(status).map(({ name }) => name).join(", then ")],
  ["Recognizer of new calls", (status) => recognizers(status).find(({ chosen }) => chosen)?.name ?? "none"],
]; // compared where there is a choice

const STREAMING = "streaming"; // of the steps: as the best of the streaming recognizers
const STEPS = { single: "single requests", whisper: "Whisper" };
const UNSETTLED = { refused: "refuses the service", no_answer: "does not answer the service" }; // by the state of a check
const FAULTY = new Set(["restarting", "failing", "blocked"]); // of tasks and of plug-ins

/** Return `{name, values: Map(value -> pods)}` for each revision; pods agree where there is one value. */
export function agreement(pods) {
  const severalToChoose = pods.some(({ status }) => status && recognizers(status).length > 1);
  return [...COMPARED, ...(severalToChoose ? RECOGNIZERS : [])].map(([name, read]) => {
    const values = new Map();
    for (const { pod, status } of pods.filter((each) => each.status)) {
      const value = read(status) || "defaults";
      values.set(value, [...(values.get(value) ?? []), pod]);
    }
    return { name, values };
  });
}

/** Return what is wrong with a pod, as `{what, why}`: nothing for a pod that is all right. */
export function troubles(status) {
  return [...refusals(status), ...breakers(status), ...sinkFaults(status), ...parts(status)];
}

function refusals({ live }) {
  return (live?.refusals ?? []).map(({ file, flag, why }) => ({ what: `${file}${flag ? `, ${flag}` : ""} is refused`, why }));
}

function breakers({ recognizer }) {
  const streaming = Object.entries(recognizer?.streaming ?? {});
  const others = Object.entries(recognizer?.health ?? {}).filter(([step]) => !streaming.length || step !== STREAMING);
  const held = [
    ...streaming.map(([name, { breaker, check }]) => heldBack(name, breaker, check)),
    ...others.map(([step, breaker]) => heldBack(STEPS[step] ?? step, breaker)),
  ].filter(Boolean);
  return held.map((each, at) => ({ ...each, remedy: held.findIndex(({ remedy }) => remedy === each.remedy) < at ? "" : each.remedy }));
}

/** Return what keeps calls from a step, or what its vendor answered to the service's own question; null for nothing. */
function heldBack(step, breaker, check = null) {
  if (breaker.state === "closed") {
    return UNSETTLED[check?.state] ? { what: `${step} ${UNSETTLED[check.state]}`, why: reasonOf(check), remedy: check.remedy ?? "" } : null;
  }
  const what = breaker.state === "open" ? `no call uses ${step}` : `${step} is on trial, by one call`;
  const again = breaker.retry_in_s > 0 ? `tried again in ${Math.ceil(breaker.retry_in_s)} s` : "";
  return { what, why: [reasonOf(breaker), again].filter(Boolean).join("; "), remedy: breaker.remedy ?? "" };
}

function reasonOf({ reason, said }) {
  return said ? `${reason} (${said})` : reason;
}

function sinkFaults({ sinks = {} }) {
  return Object.entries(sinks).flatMap(([name, sink]) =>
    [
      (sink.fault || sink.state === "retrying" || sink.state === "away") && { what: `sink ${name} does not deliver`, why: sink.fault ?? "" },
      sink.dead_letters > 0 && { what: `sink ${name} has ${count(sink.dead_letters, "dead letter")}`, why: "" },
    ].filter(Boolean),
  );
}

/** Return what waits for each sink of a status, as texts; none where the service hands no events on. */
export function sinkLines({ sinks = {} }) {
  return Object.entries(sinks).map(([name, sink]) => {
    const waits = sink.pending ? `${count(sink.pending, "event waits", "events wait")}, the oldest for ${duration(sink.oldest_s)}` : "nothing waits";
    return `${name} (${sink.kind} ${sink.target}): ${sink.state.replaceAll("_", " ")}, ${waits}`;
  });
}

function parts(status) {
  const { live, flags, store, tasks = {}, vad, plugins = [] } = status;
  return [
    live?.connection?.why && { what: `live configuration is ${live.connection.state}`, why: live.connection.why },
    flags?.state && flags.state !== "READY" && { what: `flags are ${flags.state}`, why: flags.last_error ?? "" },
    store?.fault && { what: `the store is ${store.state}`, why: store.fault },
    store?.journal?.failing && { what: "the journal cannot write", why: store.journal.failing },
    vad?.fallen_back && { what: `the detector fell back to ${vad.engine}`, why: "" },
    ...Object.entries(tasks)
      .filter(([, task]) => FAULTY.has(task.state))
      .map(([name, task]) => ({ what: `${name} is ${task.state}`, why: task.last_fault ?? "" })),
    ...plugins
      .filter((plugin) => FAULTY.has(plugin.state))
      .map((plugin) => ({ what: `plug-in ${plugin.name} is ${plugin.state}`, why: plugin.last_fault ?? "" })),
  ].filter(Boolean);
}

/** Return how many of a pod's places have a call, as `{name, used, limit}`; a limit of 0 is none. */
export function places(status) {
  return { name: "Calls", used: status.active_calls, limit: status.max_calls };
}

/**
 * Return the streaming recognizers in the order in which calls try them, as `{name, endpoint, state, chosen, used, limit}`.
 * A new call gets the chosen one: what the flag said last, or the first one that may be used.
 */
export function recognizers({ recognizer, flags }) {
  const found = Object.entries(recognizer?.streaming ?? {});
  const preferred = found.filter(([name]) => name === flags?.recognizer);
  const [chosen = ""] = [...preferred, ...found].find(([, { breaker }]) => breaker.state === "closed") ?? [];
  return found.map(([name, { endpoint, breaker, streams, limit }]) => ({ name, endpoint, state: breaker.state, chosen: name === chosen, used: streams, limit }));
}
