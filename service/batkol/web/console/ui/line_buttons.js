/** What a token that may `line` can do in a live call: say, clear, hang up, transfer. */

import { el } from "./dom.js";

export class LineButtons {
  #client;
  #sid = "";
  #said = el("p", { class: "result", role: "status" });

  constructor(client) {
    this.#client = client;
    const text = el("input", { id: "say-text", name: "text", dir: "auto", autocomplete: "off", maxlength: 2000, placeholder: "Words for the caller" });
    const now = el("input", { type: "checkbox", id: "say-now", name: "interrupt" });
    const label = el("input", { id: "transfer-label", name: "label", autocomplete: "off", placeholder: "Label" });
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
        { class: "transfer", onsubmit: (event) => this.#submit(event, () => this.#do("transfer", { label: label.value }, () => "The transfer follows what is said.")) },
        el("label", { for: "transfer-label", class: "visually-hidden" }, "Transfer to"),
        label,
        el("button", { type: "submit" }, "Transfer"),
      ),
      el("button", { type: "button", class: "danger", onclick: () => this.#do("hangup", {}, () => "The call ends after the goodbye.") }, "Hang up"),
      this.#said,
    );
  }

  show(sid) {
    this.#sid = sid;
    this.#said.textContent = "";
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
      this.#said.textContent = sentence(await this.#client.post(path, body));
      this.#said.className = "result";
    } catch (error) {
      this.#said.textContent = error.message;
      this.#said.className = "result bad";
    }
  }
}
