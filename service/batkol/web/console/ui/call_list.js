/** The list of live calls: one row each. Rows are moved and written only where they differ. */

import { direction } from "../core/isolates.js";
import { duration } from "../core/format.js";
import { endedShortly } from "../core/reasons.js";
import { el, ltr, setClass, spoken, write } from "./dom.js";

const LINE = 44; // characters of the newest text in a row

export class CallList {
  #rows = new Map(); // call SID -> row
  #onSelect;
  #selected = "";

  constructor(onSelect) {
    this.#onSelect = onSelect;
    this.node = el("ul", { class: "calls", "aria-label": "Calls" });
  }

  /** Bring order and number of the rows up to date. `calls` in the order in which they are to stand. */
  arrange(calls) {
    const wanted = new Set(calls.map((call) => call.sid));
    for (const [sid, row] of this.#rows) {
      if (!wanted.has(sid)) {
        row.node.remove();
        this.#rows.delete(sid);
      }
    }
    let place = this.node.firstElementChild;
    for (const call of calls) {
      const row = this.#rows.get(call.sid) ?? this.#make(call);
      if (row.node === place) {
        place = place.nextElementSibling;
      } else {
        this.node.insertBefore(row.node, place);
      }
      this.draw(call);
    }
  }

  /** Write one row. */
  draw(call) {
    const row = this.#rows.get(call.sid);
    if (!row) {
      return;
    }
    setClass(row.node, "over", call.over);
    setClass(row.node, "caller", call.speaker === "caller");
    setClass(row.node, "agent", call.speaker === "agent");
    write(row.from, call.from || (call.direction === "browser" ? "This page’s phone" : "number hidden"));
    write(row.agent, [call.agent, call.pod].filter(Boolean).join(" · "));
    write(row.state, stateOf(call));
    this.#line(row, call.line);
  }

  /** Write how long each call lasts. */
  tick(calls, now) {
    for (const call of calls) {
      const row = this.#rows.get(call.sid);
      if (row) {
        write(row.time, duration(((call.over?.at ?? now) - call.startedAt) / 1000));
      }
    }
  }

  select(sid) {
    this.#rows.get(this.#selected)?.button.removeAttribute("aria-current");
    this.#selected = sid;
    this.#rows.get(sid)?.button.setAttribute("aria-current", "true");
  }

  #line(row, entry) {
    const text = newest(entry);
    if (row.text !== text) {
      row.text = text;
      row.line.dir = direction(text);
      row.line.className = `line ${entry?.kind ?? ""}`;
      row.line.replaceChildren(...spoken(text));
    }
  }

  #make(call) {
    const [from, agent, state, time] = [ltr(""), el("span", { class: "agent-name" }), el("span", { class: "state" }), el("span", { class: "time" })];
    const line = el("span", { class: "line" });
    const button = el(
      "button",
      { type: "button", class: "call", onclick: () => this.#onSelect(call.sid) },
      el("span", { class: "top" }, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { class: "from" }, from), time),
      el("span", { class: "middle" }, agent, state),
      line,
    );
    const node = el("li", {}, button);
    const row = { node, button, from, agent, state, time, line, text: null };
    if (call.sid === this.#selected) {
      button.setAttribute("aria-current", "true");
    }
    this.#rows.set(call.sid, row);
    return row;
  }
}

/** Return the end of an entry's text: what came last is what is read in a row. */
function newest(entry) {
  const text = !entry ? "" : entry.kind === "reply" ? entry.sentences.filter(Boolean).join(" ") : entry.text;
  const from = text.length > LINE ? text.indexOf(" ", text.length - LINE) + 1 : 0;
  return from ? `… ${text.slice(from)}` : text;
}

function stateOf(call) {
  if (call.over) {
    return endedShortly(call.over.reason);
  }
  if (call.moving) {
    return "moving to another pod";
  }
  return { caller: "caller speaks", agent: "agent speaks" }[call.speaker] ?? (call.streaming === false ? "single requests" : "");
}
