/** One reply of the agent: as it is spoken, and what was heard of it. */

import { direction } from "../core/isolates.js";
import { clock, milliseconds } from "../core/format.js";
import { questionOf, timeline } from "../core/turns.js";
import { heardPart } from "../core/words.js";
import { el, setClass, spoken, spokenInHalves } from "./dom.js";
import { timelineFigure } from "./timeline.js";
import { chip } from "./utterance.js";

/** Return the node of a reply and the function that brings it up to date. `entries` are those of its call. */
export function replyNode(entry, { entries }) {
  const text = el("p", { class: "text" });
  const marks = el("span", { class: "marks" });
  const foot = el("div", { class: "foot" });
  const node = el(
    "li",
    { class: "entry reply" },
    el("p", { class: "who" }, el("span", { class: "name" }, "Agent"), el("time", { datetime: new Date(entry.at).toISOString() }, clock(entry.at)), marks),
    text,
    foot,
  );
  const update = () => {
    setClass(node, "growing", !entry.ended && !entry.interrupted && !entry.failed);
    setClass(node, "was-interrupted", entry.interrupted);
    text.dir = direction(entry.intended ?? entry.sentences.join(" "));
    text.replaceChildren(...said(entry));
    marks.replaceChildren(...chips(entry));
    if (entry.ended) {
      foot.replaceChildren(...[turnFigure(entry, entries()), makers(entry)].filter(Boolean));
    }
  };
  update();
  return { node, update };
}

function said(entry) {
  const spokenSoFar = entry.sentences.filter(Boolean).join(" ");
  const intended = entry.intended ?? spokenSoFar;
  if (!intended && entry.ended) {
    return [el("span", { class: "nothing" }, "no words, or not for this token")];
  }
  if (entry.heard === null) {
    return spoken(intended);
  }
  const halves = heardPart(intended, entry.heard);
  if (!halves[1].trim()) {
    return spoken(intended);
  }
  const cut = el("span", { class: "cut" }, el("span", { class: "visually-hidden" }, " interrupted here; not heard: "));
  return spokenInHalves(halves, (unheard) => el("s", { class: "unheard" }, unheard), cut);
}

function chips(entry) {
  return [
    entry.phrase && chip(entry.phrase, "phrase"),
    entry.maker?.kind === "announcement" && chip("announcement", "phrase"),
    entry.interrupted && chip("interrupted", "warn"),
    entry.resumed > 0 && chip(entry.resumed === 1 ? "resumed" : `resumed ${entry.resumed} times`, "good"),
    entry.failed && chip(`${entry.failed.part} failed: ${entry.failed.reason}`, "bad"),
    entry.fault && chip(entry.fault, "bad"),
    entry.latencyMs !== null && chip(milliseconds(entry.latencyMs), entry.latencyMs > SLOW_MS ? "latency slow" : "latency"),
  ].filter(Boolean);
}

const SLOW_MS = 1200;

function turnFigure(entry, entries) {
  const question = questionOf(entries, entry);
  return question && timelineFigure(timeline(question, entry));
}

function makers({ maker }) {
  if (!maker) {
    return null;
  }
  const facts = [
    maker.answerer && `answerer ${named(maker.answerer, maker.answerer_variant)}`,
    maker.voice && `voice ${named(maker.voice, maker.voice_variant)}`,
    maker.attempts > 1 && `${maker.attempts} attempts`,
    maker.prompt_tokens > 0 && `${maker.prompt_tokens} + ${maker.completion_tokens} tokens`,
  ].filter(Boolean);
  return facts.length ? el("p", { class: "makers" }, facts.join(" · ")) : null;
}

function named(kind, variant) {
  return variant && variant !== "default" ? `${kind} (${variant})` : kind;
}
