/** The view of the agent's pods: calls, quota, breakers, drain, revisions and whether they agree, what is refused. */

import { count, duration } from "../core/format.js";
import { agreement, places, recognizers, sinkLines, troubles } from "../core/pods.js";
import { el } from "./dom.js";
import { chip } from "./utterance.js";

const EVERY_MS = 5000;

export class PodsView {
  #statuses;
  #timer = null;
  #opened = 0;

  /** `statuses` returns `[{pod, reachable, why, status}]` of all pods. */
  constructor({ statuses }) {
    this.#statuses = statuses;
    this.agreement = el("dl", { class: "agreement" });
    this.pods = el("ul", { class: "pods" });
    this.status = el("p", { class: "result", role: "status" });
    this.node = el("section", { class: "view pods-view", "aria-label": "Pods" }, el("h1", { tabindex: -1 }, "Pods"), this.status, this.agreement, this.pods);
  }

  async open() {
    this.close();
    const opened = this.#opened;
    await this.#read();
    if (opened !== this.#opened) {
      return; // it was left meanwhile
    }
    this.#timer = setInterval(() => !document.hidden && this.#read(), EVERY_MS);
  }

  close() {
    this.#opened++;
    clearInterval(this.#timer);
  }

  async #read() {
    try {
      const pods = await this.#statuses();
      this.#show(pods);
      this.status.textContent = "";
      this.status.className = "result";
    } catch (error) {
      this.status.textContent = error.message;
      this.status.className = "result bad";
    }
  }

  #show(pods) {
    const rows = agreement(pods).map(({ name, values }) => {
      const agree = values.size <= 1;
      const shown = [...values].map(([value, names]) => el("span", { class: "value" }, el("code", {}, value), agree ? "" : ` ${names.join(", ")}`));
      return el("div", { class: agree ? "agree" : "differ" }, el("dt", {}, name), el("dd", {}, agree ? "" : el("strong", {}, "the pods differ: "), shown));
    });
    this.agreement.replaceChildren(...rows);
    this.pods.replaceChildren(...pods.map(podNode));
  }
}

function podNode({ pod, reachable, why, status }) {
  if (!status) {
    return el("li", { class: "pod away" }, el("h2", {}, pod), el("p", { class: "bad" }, reachable ? why ?? "It gave no status." : why));
  }
  const wrong = troubles(status);
  const state = status.drain ? drainOf(status.drain) : `up ${duration(status.uptime_s)}`;
  return el(
    "li",
    { class: "pod" },
    el("h2", {}, status.pod || pod, " ", el("small", {}, status.voice_agent)),
    el("p", { class: status.draining ? "state warn" : "state" }, state),
    wrong.length > 0
      ? el("ul", { class: "troubles" }, wrong.map((each) => el("li", {}, el("strong", {}, each.what), each.why ? `: ${each.why}` : "", each.remedy && el("p", { class: "remedy" }, each.remedy))))
      : el("p", { class: "good" }, "Nothing is refused, and calls may use every recognizer."),
    gauge(places(status)),
    hearing(status),
    el("dl", { class: "facts-list" }, Object.entries(facts(status)).filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
  );
}

function drainOf(drain) {
  return drain.done ? "drained" : `draining: ${count(drain.calls_left, "call")} left of at most ${drain.timeout_s} s`;
}

/** The streaming recognizers, in their order, each with its streams. */
function hearing(status) {
  const found = recognizers(status);
  return found.length > 0 && el("ol", { class: "recognizers", "aria-label": "Recognizers, in the order in which calls try them" }, found.map(recognizerNode));
}

function recognizerNode({ name, endpoint, state, chosen, used, limit }) {
  const [text, kind] = chosen ? ["new calls use it", "good"] : STATES[state] ?? ["stands by", ""];
  return el(
    "li",
    {},
    el("p", {}, el("strong", { dir: "ltr" }, name), " ", chip(text, kind), " ", el("small", { dir: "ltr" }, endpoint)),
    gauge({ name: "Streams", used, limit, of: name }),
  );
}

const STATES = { open: ["no call uses it", "bad"], half_open: ["on trial, by one call", "warn"] };

function gauge({ name, used, limit, of = "" }) {
  const text = `${used}${limit ? ` of ${limit}` : ", no limit"}`;
  return el("p", { class: "gauge" }, el("span", {}, name), limit > 0 && el("meter", { min: 0, max: limit, high: limit * 0.85, value: used, "aria-label": [name, of, text].filter(Boolean).join(": ") }), el("span", { class: "figure" }, text));
}

function facts(status) {
  const { recognizer, agent, flags, process, event_loop: loop, store, tuning } = status;
  const severalHear = recognizers(status).length > 1;
  return {
    Language: recognizer?.language,
    Agent: agent && (agent.replies ? `${agent.answerer}, voice ${agent.voice}` : "does not answer by itself"),
    Flags: flags && [`${flags.provider}, ${flags.state}`, `last answer of streaming-stt: ${flags.last_known ?? "none yet"}`, severalHear && `of recognizer: ${flags.recognizer}`].filter(Boolean).join("; "),
    Tuning: tuning && `batch ${tuning.batch_ms} ms, debounce ${tuning.partial_debounce_ms} ms, silence ${tuning.silence_ms} ms`,
    Store: store && (store.kind === "none" ? "none" : `${store.state}, ${count(store.backlog?.records ?? 0, "record")} behind`),
    Sinks: sinkLines(status).join("; "),
    Process: process && `${Math.round(process.rss_mb)} MB, event loop at most ${loop?.lag_ms_max_60s ?? 0} ms late`,
  };
}
