/** The view of leads: numbers that called, what is known of them, and fields to change. */

import { address } from "../api/client.js";
import { Pages } from "../api/pages.js";
import { count, moment } from "../core/format.js";
import { el, ltr, setClass } from "./dom.js";
import { save } from "./save.js";

const FIELDS = [
  ["name", "Name", "input"],
  ["notes", "Notes", "textarea"],
  ["last_summary", "Summary of the last call", "textarea"],
];

export class LeadsView {
  #client;
  #may;
  #pages;

  constructor({ client, may }) {
    this.#client = client;
    this.#may = may;
    this.#pages = new Pages(client, "/v1/leads", {
      page: ({ leads }) => {
        this.list.append(...leads.map((lead) => this.#lead(lead)));
        this.#say(this.list.childElementCount ? "" : "No lead matches.");
      },
      failed: (sentence) => this.#say(sentence, true),
      more: (isThere) => (this.more.hidden = !isThere),
    });
    this.list = el("ul", { class: "leads" });
    this.status = el("p", { class: "result", role: "status" });
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.#pages.read() }, "More leads");
    this.form = el(
      "form",
      { class: "search", role: "search", onsubmit: (event) => this.#submitted(event) },
      el("div", { class: "field" }, el("label", { for: "leads-number" }, "Number"), el("input", { id: "leads-number", name: "number", dir: "ltr", inputmode: "tel", autocomplete: "off" })),
      el("div", { class: "field" }, el("label", { for: "leads-agent" }, "Agent"), el("input", { id: "leads-agent", name: "agent", autocomplete: "off" })),
      el("button", { type: "submit", class: "primary" }, "Search"),
    );
    const exports = ["csv", "jsonl"].map((form) => el("button", { type: "button", class: "link", onclick: () => this.#export(`leads.${form}`) }, form.toUpperCase()));
    this.node = el("section", { class: "view leads-view", "aria-label": "Leads" }, el("h1", { tabindex: -1 }, "Leads"), this.form, el("p", { class: "exports" }, "Export: ", exports), this.status, this.list, this.more);
  }

  /** Read the leads anew, unless a change that is not saved would be lost. */
  async open() {
    if (!this.list.querySelector(".lead-form.changed")) {
      await this.#search();
    }
  }

  #submitted(event) {
    event.preventDefault();
    return this.#search();
  }

  async #search() {
    this.list.replaceChildren();
    await this.#pages.search(Object.fromEntries(new FormData(this.form)));
  }

  #lead(lead) {
    const said = el("p", { class: "result", role: "status" });
    const controls = FIELDS.map(([name, label, tag]) => this.#field(lead, name, label, tag));
    const form = el(
      "form",
      { class: "lead-form", oninput: () => setClass(form, "changed", true), onsubmit: (event) => this.#change(event, lead, said) },
      controls,
      el("button", { type: "submit" }, "Save"),
      said,
    );
    const saved = Object.entries(lead.fields ?? {});
    return el(
      "li",
      { class: "lead" },
      el("h2", {}, lead.caller_number ? ltr(lead.caller_number) : `Lead ${lead.id}`, " ", el("small", {}, lead.agent)),
      el("p", { class: "facts" }, `${count(lead.calls, "call")}, the last on `, el("a", { href: `#history/${lead.last_call_sid}` }, moment(new Date(lead.last_call_at)))),
      saved.length > 0 && el("dl", { class: "facts-list" }, saved.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value))))),
      form,
    );
  }

  #field(lead, name, label, tag) {
    const id = `lead-${lead.id}-${name}`;
    const control = el(tag, { id, name, dir: "auto", ...(tag === "textarea" ? { rows: 2 } : { autocomplete: "off" }) });
    control.value = lead[name] ?? "";
    control.disabled = !this.#may("texts") || !this.#may("numbers");
    return el("div", { class: "field" }, el("label", { for: id }, label), control);
  }

  async #change(event, lead, said) {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const changed = Object.fromEntries(Object.entries(given).filter(([name, value]) => value !== (lead[name] ?? "")).map(([name, value]) => [name, value || null]));
    if (!Object.keys(changed).length) {
      said.textContent = "Nothing is different.";
      return;
    }
    try {
      Object.assign(lead, await this.#client.patch(`/v1/leads/${lead.id}`, changed));
      setClass(event.target, "changed", false);
      said.textContent = "Saved.";
      said.className = "result";
    } catch (error) {
      said.textContent = error.message;
      said.className = "result bad";
    }
  }

  async #export(name) {
    try {
      await save(this.#client, address(`/v1/${name}`, this.#pages.asked), name);
      this.#say(`${name} is saved.`);
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  #say(text, bad = false) {
    this.status.textContent = text;
    this.status.className = bad ? "result bad" : "result";
  }
}
