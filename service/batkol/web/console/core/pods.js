/** What the statuses of an agent's pods say together: whether they agree, and what is refused. */

import { count, duration } from "./format.js";

const COMPARED = [
  ["Version", (status) => status.version],
  ["Tuning", (status) => status.tuning?.revision ?? ""],
  ["Flags", (status) => status.live?.flags_revision ?? ""],
  ["Reply settings", (status) => status.reply?.revision ?? ""],
];

const FAULTY = new Set(["restarting", "failing", "blocked"]); // of tasks and of plug-ins

/** Return `{name, values: Map(value -> pods)}` for each revision; pods agree where there is one value. */
export function agreement(pods) {
  return COMPARED.map(([name, read]) => {
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
  return Object.entries(recognizer?.health ?? {})
    .filter(([, breaker]) => breaker.state !== "closed")
    .map(([step, breaker]) => ({
      what: breaker.state === "open" ? `no call uses ${step}` : `${step} is on trial, by one call`,
      why: [breaker.reason, breaker.retry_in_s === null ? "" : `tried again in ${Math.ceil(breaker.retry_in_s)} s`].filter(Boolean).join("; "),
    }));
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
    const waits = sink.pending ? `${count(sink.pending, "event")} wait, the oldest for ${duration(sink.oldest_s)}` : "nothing waits";
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

/** Return what a pod's recognizer and places are used for, as `{name, used, limit}`; a limit of 0 is none. */
export function quotas(status) {
  return [
    { name: "Calls", used: status.active_calls, limit: status.max_calls },
    { name: "Streams of the recognizer", used: status.recognizer?.streams ?? 0, limit: status.recognizer?.limit ?? 0 },
  ];
}
