/** What a token that may `line` can do in a live call: say, clear, hang up, transfer. */

import { el, write } from "./dom.js";

export class LineButtons {
  #client;
  #sid = "";
  #why = ""; // the reason why this call cannot be transferred; empty if it can
  #said = el("p", { class: "result", role: "status" });

  constructor(client) {
    this.#client = client;
    const text = el("input", { id: "say-text", name: "text", dir: "auto", autocomplete: "off", maxlength: 2000, placeholder: "Words for the caller" });
    const now = el("input", { type: "checkbox", id: "say-now", name: "interrupt" });
    this.label = el("input", { id: "transfer-label", name: "label", autocomplete: "off", placeholder: "Label", list: "transfer-labels" });
    this.labels = el("datalist", { id: "transfer-labels" });
    this.move = el("button", { type: "submit" }, "Transfer");
    this.why = el("p", { id: "transfer-why", class: "note", hidden: true });
    this.node = el(
      "section",
      { class: "line-buttons", "aria-label": "The line of this call" },
      el(
        "form",
        { class: "say", onsubmit: (event) => this.#submit(event, () => this.#say(text, now)) },
        el("label", { for: "say-text", class: "visually-hidden" }, "Say"),
        text,
        el("label", { class: "inline", for: "say-now" }, now, " at once"),
        el("button", { type: "submit", class: "primary" }, "Say"),
      ),
      el("button", { type: "button", onclick: () => this.#do("clear", undefined, ({ heard_ms: ms }) => `Silenced; ${ms} ms were heard.`) }, "Clear"),
      el(
        "form",
        { class: "transfer", onsubmit: (event) => this.#submit(event, () => this.#transfer()) },
        el("label", { for: "transfer-label", class: "visually-hidden" }, "Transfer to"),
        this.label,
        this.labels,
        this.move,
      ),
      el("button", { type: "button", class: "danger", onclick: () => this.#do("hangup", {}, () => "The call ends after the goodbye.") }, "Hang up"),
      this.why,
      this.#said,
    );
  }

  /** Show the buttons for a call. */
  show(sid) {
    this.#sid = sid;
    this.#said.textContent = "";
  }

  /**
   * Say whether the call can be transferred, to the `labels`, or `why` not. What cannot be used keeps its place in the
   * order of keys, so that the reason is read where it is reached.
   */
  offerTransfer(labels, why) {
    this.#why = why;
    this.labels.replaceChildren(...labels.map((value) => el("option", { value })));
    write(this.why, why);
    this.why.hidden = !why;
    this.label.readOnly = Boolean(why);
    for (const node of [this.label, this.move]) {
      for (const [name, value] of [["aria-disabled", "true"], ["aria-describedby", this.why.id]]) {
        why ? node.setAttribute(name, value) : node.removeAttribute(name);
      }
    }
  }

  #transfer() {
    return this.#why ? this.#tell(this.#why, true) : this.#do("transfer", { label: this.label.value }, () => "The transfer follows what is said.");
  }

  async #say(text, now) {
    if (text.value.trim()) {
      await this.#do("say", { text: text.value, interrupt: now.checked }, () => "Accepted.");
      text.value = "";
    }
  }

  #submit(event, send) {
    event.preventDefault();
    return send();
  }

  async #do(command, body, sentence) {
    const path = `/v1/calls/${encodeURIComponent(this.#sid)}/${command}?scope=fleet`;
    try {
      this.#tell(sentence(await this.#client.post(path, body)));
    } catch (error) {
      this.#tell(error.message, true);
    }
  }

  #tell(sentence, bad = false) {
    this.#said.textContent = sentence;
    this.#said.className = bad ? "result bad" : "result";
  }
}
