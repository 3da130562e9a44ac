/** The state of the feed, as a word in the head of the page; it counts down to the next attempt. */

import { el, write } from "./dom.js";

const WORDS = { connecting: "connecting …", live: "live", refused: "no access", forbidden: "no live calls", stopped: "off" };

export class ConnectionStatus {
  #timer = null;

  constructor(onHurry) {
    this.word = el("span", {});
    this.again = el("button", { type: "button", class: "link", hidden: true, onclick: onHurry }, "now");
    this.count = el("span", { "aria-hidden": "true" });
    this.node = el("p", { class: "connection" }, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { role: "status" }, this.word), this.count, " ", this.again);
  }

  /** Show a state of `Feed`; `ms` until the next attempt. */
  show(state, why = "", ms = 0) {
    clearInterval(this.#timer);
    this.node.dataset.state = state;
    this.node.title = why;
    this.again.hidden = state !== "waiting";
    write(this.word, state === "waiting" ? `${why} Connecting again` : WORDS[state]);
    this.count.textContent = "";
    if (state === "waiting") {
      const due = performance.now() + ms;
      const tick = () => write(this.count, ` in ${Math.max(0, Math.ceil((due - performance.now()) / 1000))} s`);
      tick();
      this.#timer = setInterval(tick, 1000);
    }
  }
}
