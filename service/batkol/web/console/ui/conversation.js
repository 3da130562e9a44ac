/** A conversation, live or from the history: one list item for each entry, and only changed ones are drawn again. */

import { clock, milliseconds } from "../core/format.js";
import { questionOf } from "../core/turns.js";
import { el, write } from "./dom.js";
import { replyNode } from "./reply.js";
import { chip, utteranceNode } from "./utterance.js";

export class ConversationView {
  #list = el("ol", { class: "conversation" });
  #drawn = new Map(); // entry id -> {node, update}
  #options;
  #entries = () => [];

  /** `options.traceUrl` makes the address of a trace of its id; it may be missing. */
  constructor(options = {}) {
    this.#options = options;
    this.node = this.#list;
  }

  /** Show the entries of a call: a function that returns them in their order. */
  show(entries) {
    this.#entries = entries;
    this.#drawn.clear();
    const nodes = [];
    for (const entry of entries()) {
      nodes.push(this.#make(entry).node);
    }
    this.#list.replaceChildren(...nodes);
    for (const entry of entries()) {
      this.#answered(entry);
    }
  }

  /** Draw what changed. */
  update(changed) {
    for (const entry of changed) {
      this.#draw(entry);
      this.#answered(entry);
    }
  }

  #draw(entry) {
    const drawn = this.#drawn.get(entry.id);
    if (drawn) {
      drawn.update();
    } else {
      this.#list.append(this.#make(entry).node);
    }
  }

  /** The timeline of a turn stands at its reply: take the shorter one away from its utterance. */
  #answered(entry) {
    const question = entry.kind === "reply" && entry.ended ? questionOf(this.#entries(), entry) : null;
    if (question && !question.answered) {
      question.answered = true;
      this.#drawn.get(question.id)?.update();
    }
  }

  #make(entry) {
    const options = { ...this.#options, entries: this.#entries };
    const drawn = (MAKERS[entry.kind] ?? noteNode)(entry, options);
    this.#drawn.set(entry.id, drawn);
    return drawn;
  }
}

function toolNode(entry) {
  const node = el(
    "li",
    { class: "entry tool" },
    el("span", { class: "name" }, "Tool "),
    el("code", {}, entry.name),
    chip(entry.outcome, entry.outcome === "done" ? "good" : "bad"),
    chip(milliseconds(entry.durationMs), "latency"),
    entry.arguments ? el("code", { class: "arguments", dir: "auto" }, entry.arguments) : null,
  );
  return { node, update: () => {} };
}

function keysNode(entry) {
  const digits = el("kbd", { dir: "ltr" });
  const node = el("li", { class: "entry keys" }, el("span", { class: "name" }, "Keys "), digits);
  const update = () => write(digits, entry.digits);
  update();
  return { node, update };
}

function noteNode(entry) {
  return { node: el("li", { class: "entry note" }, `${clock(entry.at)}  ${entry.text}`), update: () => {} };
}

const MAKERS = { utterance: utteranceNode, reply: replyNode, tool: toolNode, keys: keysNode, note: noteNode };
