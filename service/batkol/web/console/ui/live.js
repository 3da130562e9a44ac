/** The view of live calls: the list of all pods' calls, and the conversation of one. */

import { earlierEvents } from "../api/feed.js";
import { clock, count } from "../core/format.js";
import { recognizersOf } from "../core/recognizers.js";
import { ConversationView } from "./conversation.js";
import { CallList } from "./call_list.js";
import { el, ltr, write } from "./dom.js";
import { LineButtons } from "./line_buttons.js";

const OF_THE_PHONE = "A call from the console’s phone cannot be transferred: Twilio does not know it.";
const LIST_MS = 250; // between two times that the rows are written: people read no faster

export class LiveView {
  #calls;
  #client;
  #may;
  #known;
  #selected = "";
  #hearing = ""; // the recognizer that hears the selected call, as shown
  #stale = new Set(); // calls whose rows are to be written
  #listAt = 0;
  #later = null;
  #refused = false;

  constructor({ calls, client, go, may, known, traceUrl, announce, onChange }) {
    this.#calls = calls;
    this.#client = client;
    this.#may = may;
    this.#known = known; // returns what the service says of itself and of the token
    this.announce = announce;
    this.onChange = onChange; // called when `calls` changed by what this view read
    this.list = new CallList((sid) => go(`live/${sid}`));
    this.conversation = new ConversationView({ traceUrl });
    this.buttons = new LineButtons(client);
    this.heading = el("h2", { tabindex: -1 });
    this.facts = el("p", { class: "facts" });
    this.about = el("span", {});
    this.heard = el("span", {});
    this.sid = el("code", { class: "sid" });
    this.facts.append(this.about, this.heard, " ", this.sid);
    this.earlier = el("p", { class: "note", hidden: true });
    this.empty = el("div", { class: "empty" }, el("p", {}, "No call is up."), el("p", {}, "Place one: ", el("a", { href: "#phone" }, "call from this page"), "."));
    this.hint = el("p", {});
    this.total = el("span", { class: "count" });
    this.detail = el(
      "section",
      { class: "detail", hidden: true, "aria-label": "One call" },
      el("div", { class: "detail-head" }, el("a", { class: "back", href: "#live" }, "All calls"), this.heading, this.facts),
      this.buttons.node,
      this.earlier,
      el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Conversation" }, this.conversation.node),
    );
    this.peers = el("p", { class: "peers", hidden: true });
    this.node = el(
      "section",
      { class: "view live", "aria-label": "Live calls" },
      el("div", { class: "side" }, el("h1", {}, "Live ", this.total), this.peers, this.list.node, this.empty),
      this.detail,
      el("div", { class: "choose" }, this.hint),
    );
    setInterval(() => this.#tick(), 1000);
  }

  /** Draw what changed: a Map of call SID -> entries, or null for all of the call. */
  draw(changed) {
    for (const [sid, entries] of changed) {
      this.#stale.add(sid);
      const call = sid === this.#selected && this.#calls.get(sid); // one that is over may be forgotten already
      if (call) {
        this.#drawSelected(call, entries);
      }
    }
    if (this.#selected && this.detail.hidden && this.#calls.get(this.#selected)) {
      this.open(this.#selected);
    }
    const wait = this.#calls.listChanged ? 0 : this.#listAt + LIST_MS - performance.now();
    if (wait <= 0) {
      this.#drawList();
    } else if (this.#stale.size && this.#later === null) {
      this.#later = setTimeout(() => this.#drawList(), wait);
    }
  }

  /** The rights of the token are known. */
  refresh() {
    const call = this.#calls.get(this.#selected);
    this.buttons.node.hidden = !this.#may("line") || !this.#selected || Boolean(call?.over);
    if (call) {
      this.#offerTransfer(call);
    }
  }

  /** No calls can be read, for this reason. */
  refuse(why) {
    this.#refused = true;
    this.empty.replaceChildren(el("p", {}, "No calls are shown."), el("p", {}, why));
    this.total.textContent = "";
    this.hint.replaceChildren();
  }

  /** Show the call, or none. */
  async open(sid) {
    this.#selected = sid;
    const call = this.#calls.get(sid);
    this.node.classList.toggle("has-detail", Boolean(call));
    this.detail.hidden = !call;
    this.list.select(sid);
    if (!call) {
      this.#hint(sid);
      return;
    }
    this.#show(call);
    this.heading.focus({ preventScroll: true });
    if (!call.complete && !call.held && !call.over) {
      await this.#readEarlier(sid);
    }
  }

  #hint(sid) {
    const missing = ["This call is not live. The ", el("a", { href: `#history/${encodeURIComponent(sid)}` }, "history"), " has what is stored of it."];
    this.hint.replaceChildren(...(this.#refused ? [] : sid ? missing : ["Choose a call to read along."]));
  }

  async #readEarlier(sid) {
    let events = [];
    try {
      events = await earlierEvents(this.#client, sid, this.#calls.hold(sid));
    } catch (error) {
      this.earlier.textContent = error.message;
    }
    this.#calls.release(sid, events);
    this.onChange();
  }

  #show(call) {
    this.buttons.show(call.sid);
    this.conversation.show(() => [...call.entries.values()]);
    this.#head(call);
    this.conversation.node.parentElement.scrollTop = 0; // its end
  }

  #offerTransfer(call) {
    const { transfers = [], why_no_transfer: why = "" } = this.#known();
    this.buttons.offerTransfer(transfers, call.direction === "browser" ? OF_THE_PHONE : why);
  }

  #head(call) {
    this.#offerTransfer(call);
    this.heading.replaceChildren(call.from ? ltr(call.from) : call.direction === "browser" ? "A call from the console" : "A call");
    this.#writeAbout(call);
    this.#writeHeard(call);
    this.buttons.node.hidden = !this.#may("line") || Boolean(call.over);
    this.earlier.hidden = call.complete || Boolean(call.held);
    write(this.earlier, "Earlier events are no longer kept here; the history has the whole call.");
  }

  #drawSelected(call, entries) {
    if (entries === null) {
      this.#show(call);
      return;
    }
    this.conversation.update(entries);
    for (const entry of entries) {
      this.announce(entry);
    }
    this.#writeAbout(call);
    if (call.recognizer !== this.#hearing || [...entries].some((entry) => entry.final)) {
      this.#writeHeard(call);
    }
  }

  #writeAbout(call) {
    const facts = [call.agent, call.pod, call.to && `to ${call.to}`, `since ${clock(call.startedAt)}`, call.streaming === false ? "single requests" : "streaming", call.stream > 1 && `stream ${call.stream}`];
    write(this.about, facts.filter(Boolean).join(" · "));
    write(this.sid, call.sid);
  }

  /** Which recognizers heard the call: its finals say so, and of one that is up, who hears it now. */
  #writeHeard(call) {
    this.#hearing = call.recognizer;
    const names = recognizersOf(call.entries.values(), call.over ? "" : call.recognizer);
    write(this.heard, names && ` · heard by ${names}`);
  }

  #drawList() {
    clearTimeout(this.#later);
    this.#later = null;
    this.#listAt = performance.now();
    if (this.#calls.listChanged) {
      this.#calls.listChanged = false;
      const all = this.#calls.all;
      this.list.arrange(all);
      this.empty.hidden = all.length > 0;
      write(this.total, count(this.#calls.live, "call"));
      this.#drawPeers();
      this.#tick();
    } else {
      for (const sid of this.#stale) {
        const call = this.#calls.get(sid);
        if (call) {
          this.list.draw(call);
        }
      }
    }
    this.#stale.clear();
  }

  #drawPeers() {
    const away = this.#calls.peers.filter((peer) => !peer.reachable);
    this.peers.hidden = !away.length;
    write(this.peers, away.map((peer) => `${peer.pod}: ${peer.why}`).join(" "));
  }

  #tick() {
    if (!document.hidden) {
      this.list.tick(this.#calls.all, Date.now());
    }
  }
}
