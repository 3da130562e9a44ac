/** The view of stored calls: search, one call as a conversation with its timings, export. */

import { address } from "../api/client.js";
import { Pages } from "../api/pages.js";
import { duration, milliseconds, moment } from "../core/format.js";
import { endedBecause, endedShortly } from "../core/reasons.js";
import { entriesOf } from "../core/recorded.js";
import { recognizersOf } from "../core/recognizers.js";
import { ConversationView } from "./conversation.js";
import { el, ltr, speech } from "./dom.js";
import { save } from "./save.js";

const PAGE = 50;

export class HistoryView {
  #client;
  #go;
  #pages;
  #away = true; // since the last search another view was shown
  #wanted = ""; // the call that is to be shown

  constructor({ client, go, traceUrl }) {
    this.#client = client;
    this.#go = go;
    this.conversation = new ConversationView({ traceUrl });
    this.#pages = new Pages(client, "/v1/history/calls", {
      looking: () => this.#say("Looking …"),
      page: ({ calls }) => {
        this.rows.append(...calls.map((call) => this.#row(call)));
        this.#say(this.rows.childElementCount ? "" : "No call matches.");
      },
      failed: (sentence) => this.#say(sentence, true),
      more: (isThere) => (this.more.hidden = !isThere),
    });
    this.#build();
  }

  /** Show the list, or one call. */
  async open(sid) {
    this.#wanted = sid;
    this.node.classList.toggle("has-detail", Boolean(sid));
    this.detail.hidden = !sid;
    if (sid) {
      await this.#openCall(sid);
    } else if (this.#away || !this.rows.childElementCount) {
      await this.#search();
    }
  }

  /** Another view is shown: calls may have come before this one is seen again. */
  close() {
    this.#away = true;
  }

  #build() {
    const field = (name, label, attributes = {}) => {
      const control = el("input", { id: `history-${name}`, name, autocomplete: "off", ...attributes });
      return el("div", { class: "field" }, el("label", { for: control.id }, label), control);
    };
    this.form = el(
      "form",
      { class: "search", role: "search", onsubmit: (event) => this.#submitted(event) },
      field("number", "Number", { dir: "ltr", inputmode: "tel" }),
      field("agent", "Agent"),
      field("from", "From", { type: "datetime-local" }),
      field("to", "Until", { type: "datetime-local" }),
      field("words", "Words that were said", { dir: "auto", lang: "he", minlength: 2, maxlength: 100 }),
      field("slow_reply_ms", "Replies over, ms", { type: "number", min: 1 }),
      field("slow_ms", "Finals over, ms", { type: "number", min: 1000 }),
      el("button", { type: "submit", class: "primary" }, "Search"),
    );
    this.rows = el("tbody");
    this.status = el("p", { class: "result", role: "status" });
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.#pages.read() }, "Older calls");
    this.exports = el(
      "p",
      { class: "exports" },
      "Export what the search finds: ",
      ["calls", "utterances", "replies", "tool_calls"].flatMap((name) =>
        ["csv", "jsonl"].map((form) => el("button", { type: "button", class: "link", onclick: () => this.#export(`${name}.${form}`) }, `${name.replace("_", " ")} ${form.toUpperCase()}`)),
      ),
    );
    this.heading = el("h2", { tabindex: -1 });
    this.facts = el("dl", { class: "facts-list" });
    this.detail = el(
      "section",
      { class: "detail", hidden: true, "aria-label": "One call of the history" },
      el("div", { class: "detail-head" }, el("a", { class: "back", href: "#history" }, "All calls"), this.heading, this.facts),
      el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Conversation" }, this.conversation.node),
    );
    const columns = ["Began", "Caller", "Agent", "Length", "Slowest final", "End"];
    this.node = el(
      "section",
      { class: "view history", "aria-label": "History" },
      el(
        "div",
        { class: "side" },
        el("h1", { tabindex: -1 }, "History"),
        this.form,
        this.exports,
        this.status,
        el("div", { class: "table", tabindex: 0, role: "region", "aria-label": "Calls found" }, el("table", {}, el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))), this.rows)),
        this.more,
      ),
      this.detail,
    );
  }

  #submitted(event) {
    event.preventDefault();
    return this.#search();
  }

  async #search() {
    const given = Object.fromEntries([...new FormData(this.form)].map(([name, value]) => [name, value.trim()]));
    this.#away = false;
    this.rows.replaceChildren();
    await this.#pages.search({ ...given, from: utc(given.from), to: utc(given.to), limit: PAGE });
  }

  #say(sentence, bad = false) {
    this.status.textContent = sentence;
    this.status.className = bad ? "result bad" : "result";
  }

  #row(call) {
    const open = el("a", { href: `#history/${call.call_sid}` }, moment(new Date(call.started_at)));
    const cells = [
      open,
      call.caller_number ? ltr(call.caller_number) : "–",
      call.agent || "–",
      call.duration_s === null ? "–" : duration(call.duration_s),
      milliseconds(call.slowest_final_ms),
      call.end_reason ? endedShortly(call.end_reason) : "up, or unknown",
    ];
    const row = el("tr", {}, cells.map((cell) => el("td", {}, cell)));
    if (call.summary) {
      row.cells[1].append(speech("p", { class: "summary" }, call.summary));
    }
    return row;
  }

  async #openCall(sid) {
    this.heading.textContent = "…";
    this.facts.replaceChildren();
    this.conversation.show(() => []);
    try {
      const details = await this.#client.get(`/v1/history/calls/${encodeURIComponent(sid)}`);
      if (sid !== this.#wanted) {
        return; // another call was opened meanwhile
      }
      const entries = entriesOf(details);
      this.#showHead(details, entries);
      this.conversation.show(() => entries);
      this.conversation.node.parentElement.scrollTop = -1e9; // its beginning
    } catch (error) {
      if (sid !== this.#wanted) {
        return;
      }
      this.heading.textContent = error.message;
    }
    this.heading.focus({ preventScroll: true });
  }

  #showHead({ call, complete }, entries) {
    this.heading.replaceChildren(call.caller_number ? ltr(call.caller_number) : "A call");
    const facts = {
      Began: moment(new Date(call.started_at)),
      Ended: call.ended_at ? moment(new Date(call.ended_at)) : "not yet, or unknown",
      Reason: call.end_reason && endedBecause(call.end_reason),
      Agent: call.agent,
      Called: call.called_number && ltr(call.called_number),
      Mode: call.mode,
      "Heard by": recognizersOf(entries),
      Pod: call.pod,
      "Slowest final": milliseconds(call.slowest_final_ms),
      SID: el("code", {}, call.call_sid),
      Summary: call.summary && speech("span", {}, call.summary),
      Note: !complete && "Only a part of this long call is shown; the exports have all of it.",
    };
    this.facts.replaceChildren(...Object.entries(facts).filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  async #export(name) {
    this.#say(`Exporting ${name} …`);
    try {
      const { limit, ...asked } = this.#pages.asked; // all that the search finds
      await save(this.#client, address(`/v1/history/${name}`, asked), name);
      this.#say(`${name} is saved.`);
    } catch (error) {
      this.#say(error.message, true);
    }
  }
}

/** Return the moment of a field of local time, as the API wants it. */
function utc(local) {
  return local ? new Date(local).toISOString() : "";
}
