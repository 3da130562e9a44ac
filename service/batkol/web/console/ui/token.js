/** The dialog for the token. */

import { el } from "./dom.js";

export class TokenDialog {
  #onToken;

  constructor(onToken) {
    this.#onToken = onToken;
    this.input = el("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", dir: "ltr" });
    this.why = el("p", { class: "result", role: "status" });
    this.node = el(
      "dialog",
      { "aria-labelledby": "token-title" },
      el(
        "form",
        { method: "dialog", onsubmit: () => this.#onToken(this.input.value.trim()) },
        el("h2", { id: "token-title" }, "Token"),
        el("p", {}, "A token of API_TOKENS, API_READ_TOKEN or API_TOKEN. A service that has none of them needs no token here. The page keeps it for this tab alone."),
        this.why,
        el("div", { class: "field" }, el("label", { for: "token" }, "Token"), this.input),
        el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Use it"), el("button", { type: "button", onclick: () => this.node.close() }, "Not now")),
      ),
    );
  }

  ask(why = "") {
    this.why.textContent = why;
    this.why.className = why ? "result bad" : "result";
    this.input.value = "";
    if (!this.node.open) {
      this.node.showModal();
    }
  }
}
