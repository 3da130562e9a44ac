/** One utterance of the caller: growing, tentative, withdrawn, final, revised. */

import { direction } from "../core/isolates.js";
import { clock, milliseconds } from "../core/format.js";
import { heardBefore } from "../core/recognizers.js";
import { changes, commonWords, splitAfter } from "../core/words.js";
import { timeline } from "../core/turns.js";
import { el, setClass, spoken, spokenInHalves } from "./dom.js";
import { timelineFigure } from "./timeline.js";

const SOURCES = {
  final: null,
  single: "single request",
  interim: "promoted interim",
  whisper: "Whisper",
  none: "no words",
};

/** Return the node of an utterance and the function that brings it up to date. */
export function utteranceNode(entry, options) {
  const text = el("p", { class: "text" });
  const marks = el("span", { class: "marks" });
  const foot = el("div", { class: "foot" });
  const node = el(
    "li",
    { class: "entry utterance" },
    el("p", { class: "who" }, el("span", { class: "name" }, "Caller"), el("time", { datetime: new Date(entry.at).toISOString() }, clock(entry.at)), marks),
    text,
    foot,
  );
  const update = () => {
    setClass(node, "growing", !entry.final);
    setClass(node, "is-tentative", entry.tentative && !entry.final);
    text.dir = direction(entry.text);
    text.replaceChildren(...said(entry));
    marks.replaceChildren(...chips(entry, entry.final ? heardBefore(entry, options.entries()) : ""));
    if (entry.final) {
      const figure = entry.answered ? null : timelineFigure(timeline(entry, null));
      foot.replaceChildren(...[figure, trace(entry, options)].filter(Boolean));
    }
  };
  update();
  return { node, update };
}

function said(entry) {
  if (entry.revised && entry.final) {
    const around = direction(entry.text);
    return changes(entry.final.text, entry.revised.text).flatMap((part) => [revision(part, around), " "]);
  }
  if (entry.final) {
    return entry.text ? spoken(entry.text) : [el("span", { class: "nothing" }, "no words, or not for this token")];
  }
  const halves = splitAfter(entry.text, commonWords(entry.before, entry.text));
  const caret = el("span", { class: "caret", "aria-hidden": "true" });
  return [...spokenInHalves(halves, (fresh) => el("span", { class: "fresh" }, fresh)), caret];
}

function revision({ text, change }, around) {
  const words = spoken(text, around);
  return change === "same" ? el("span", {}, words) : el(change === "gone" ? "del" : "ins", {}, words);
}

function chips(entry, former) {
  const { final, tentative, withdrawn, revised } = entry;
  const flag = entry.variant && `flag ${entry.variant}${entry.reason ? ` (${entry.reason})` : ""}`;
  return [
    entry.mode && chip([entry.mode, final ? final.recognizer : entry.recognizer, flag].filter(Boolean).join(" · "), "mode"),
    former && chip(`recognizer changed, before: ${former}`, "warn"),
    tentative && !final && chip(`tentative ${tentative.number}`, "tentative"),
    withdrawn && withdrawnChip(withdrawn),
    final && SOURCES[final.source] !== null && chip(SOURCES[final.source] ?? final.source, "source"),
    final?.confirms && chip("confirms the tentative", "good"),
    final?.unvoiced && chip("no speech detected", "warn"),
    final?.unconfirmed && chip("unconfirmed", "warn"),
    revised && chip(revised.text ? "revised" : "taken back", "revised"),
    final && chip(`final ${milliseconds(final.latencyMs)}`, "latency"),
  ].filter(Boolean);
}

function withdrawnChip({ text, reason }) {
  const why = reason === "speech" ? "speech goes on" : "the text changed";
  return el("span", { class: "chip withdrawn" }, `withdrawn, ${why}: `, el("s", { dir: direction(text) }, spoken(text)));
}

function trace(entry, { traceUrl }) {
  if (!entry.traceId) {
    return null;
  }
  const url = traceUrl?.(entry.traceId);
  const what = url ? el("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, "trace") : el("code", {}, entry.traceId);
  return el("p", { class: "trace" }, url ? "" : "trace ", what);
}

export function chip(text, name) {
  return el("span", { class: `chip ${name}` }, text);
}
