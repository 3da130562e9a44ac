/** The view of stored calls: search, one call as a conversation with its timings, export. */

import { address } from "../api/client.js";
import { duration, milliseconds, moment } from "../core/format.js";
import { entriesOf } from "../core/recorded.js";
import { ConversationView } from "./conversation.js";
import { el, ltr, speech } from "./dom.js";
import { save } from "./save.js";

const PAGE = 50;

export class HistoryView {
  #client;
  #go;
  #next = null;
  #asked = {};
  #away = true; // since the last search another view was shown
  #reading = null; // the search of which a page is on its way
  #wanted = ""; // the call that is to be shown

  constructor({ client, go, traceUrl }) {
    this.#client = client;
    this.#go = go;
    this.conversation = new ConversationView({ traceUrl });
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
      field("slow_reply_ms", "Replies slower than, ms", { type: "number", min: 1 }),
      field("slow_ms", "Finals slower than, ms", { type: "number", min: 1 }),
      el("button", { type: "submit", class: "primary" }, "Search"),
    );
    this.rows = el("tbody");
    this.status = el("p", { class: "result", role: "status" });
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.#page() }, "Older calls");
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
    this.#asked = { ...given, from: utc(given.from), to: utc(given.to) };
    this.#next = null;
    this.#away = false;
    this.rows.replaceChildren();
    await this.#page();
  }

  async #page() {
    const asked = this.#asked;
    if (this.#reading === asked) {
      return; // pressed twice
    }
    this.#reading = asked;
    this.status.textContent = "Looking …";
    this.status.className = "result";
    try {
      const parameters = { ...asked, limit: PAGE, ...(this.#next ? { cursor: this.#next } : {}) };
      const page = await this.#client.get("/v1/history/calls", parameters);
      if (asked !== this.#asked) {
        return; // another search has begun
      }
      this.#next = page.next;
      this.rows.append(...page.calls.map((call) => this.#row(call)));
      this.status.textContent = this.rows.childElementCount ? "" : "No call matches.";
    } catch (error) {
      if (asked !== this.#asked) {
        return;
      }
      this.status.textContent = error.message;
      this.status.className = "result bad";
    }
    this.#reading = null;
    this.more.hidden = this.#next === null;
  }

  #row(call) {
    const open = el("a", { href: `#history/${call.call_sid}` }, moment(new Date(call.started_at)));
    const cells = [
      open,
      call.caller_number ? ltr(call.caller_number) : "–",
      call.agent || "–",
      call.duration_s === null ? "–" : duration(call.duration_s),
      milliseconds(call.slowest_final_ms),
      call.end_reason ?? "up, or unknown",
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
      this.#showHead(details);
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

  #showHead({ call, complete }) {
    this.heading.replaceChildren(call.caller_number ? ltr(call.caller_number) : "A call");
    const facts = {
      Began: moment(new Date(call.started_at)),
      Ended: call.ended_at ? moment(new Date(call.ended_at)) : "not yet, or unknown",
      Reason: call.end_reason,
      Agent: call.agent,
      Called: call.called_number && ltr(call.called_number),
      Mode: call.mode,
      Pod: call.pod,
      "Slowest final": milliseconds(call.slowest_final_ms),
      SID: el("code", {}, call.call_sid),
      Summary: call.summary && speech("span", {}, call.summary),
      Note: !complete && "Only a part of this long call is shown; the exports have all of it.",
    };
    this.facts.replaceChildren(...Object.entries(facts).filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  async #export(name) {
    this.status.textContent = `Exporting ${name} …`;
    try {
      await save(this.#client, address(`/v1/history/${name}`, this.#asked), name);
      this.status.textContent = `${name} is saved.`;
    } catch (error) {
      this.status.textContent = error.message;
    }
  }
}

/** Return the moment of a field of local time, as the API wants it. */
function utc(local) {
  return local ? new Date(local).toISOString() : "";
}
