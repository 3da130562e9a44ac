/** The console: puts the parts together, and shows the view that the address names. */

import { Client } from "./api/client.js";
import { Feed } from "./api/feed.js";
import { session } from "./api/session.js";
import { Calls } from "./core/calls.js";
import { about, podStatuses, rights, traceAddress } from "./api/about.js";
import { Announcer } from "./ui/announcer.js";
import { ConnectionStatus } from "./ui/connection.js";
import { el, inNextFrame } from "./ui/dom.js";
import { HistoryView } from "./ui/history.js";
import { LeadsView } from "./ui/leads.js";
import { LiveView } from "./ui/live.js";
import { PhoneView } from "./ui/phone.js";
import { PodsView } from "./ui/pods.js";
import { TokenDialog } from "./ui/token.js";

const REFRESH_MS = 2000; // after a call came: its pod is in the snapshot alone
const DOUBT_MS = 10_000; // between two looks for calls that may be over

class Console {
  #calls = new Calls();
  #client = new Client(session);
  #may = new Set();
  #feed = null;
  #refresh = null;
  #refreshAt = 0;
  #known = {};
  #draw = inNextFrame(() => this.#drawChanged());

  constructor() {
    const go = (place) => (location.hash = place);
    const may = (right) => this.#may.has(right);
    const traceUrl = (id) => traceAddress(this.#known, id);
    const announcer = new Announcer(document.getElementById("announcer"));
    const announce = (entry) => announcer.entry(entry);
    const known = () => this.#known;
    const shared = { announce, calls: this.#calls, client: this.#client, session, go, known, may, traceUrl };
    this.views = {
      live: new LiveView({ ...shared, onChange: () => this.#draw() }),
      history: new HistoryView(shared),
      leads: new LeadsView(shared),
      pods: new PodsView({ statuses: () => podStatuses(this.#client) }),
      phone: new PhoneView({ ...shared, onCall: (up) => document.body.classList.toggle("calling", up) }),
    };
    this.connection = new ConnectionStatus(() => this.#feed?.hurry());
    this.dialog = new TokenDialog((token) => this.#use(token));
    this.changeToken = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.dialog.ask() }, "Token");
    document.getElementById("head-end").append(this.connection.node, this.changeToken);
    document.getElementById("main").append(...Object.values(this.views).map((view) => view.node));
    document.body.append(this.dialog.node);
    addEventListener("hashchange", () => this.#route());
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault(); // the place in the address names the view
      document.getElementById("main").focus();
    });
    addEventListener("online", () => this.#feed?.hurry());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#feed?.hurry());
  }

  start() {
    this.#route({ focus: false });
    this.#connect();
  }

  #use(token) {
    session.token = token;
    location.reload(); // nothing that the former token showed may stay
  }

  async #connect() {
    this.#feed = new Feed(this.#client, {
      begin: () => this.#learn(),
      state: (state, why, ms) => this.#state(state, why, ms),
      snapshot: (snapshot) => this.#snapshot(snapshot),
      event: (event) => this.#event(event),
    });
    await this.#feed.run();
  }

  /** Read what this service and this token are. Raises `ApiError`. */
  async #learn() {
    this.#known = await about(this.#client);
    this.#may = rights(this.#known);
    this.changeToken.hidden = !this.#known.name; // this service asks for none
    this.views.phone.setAbout(this.#known);
    this.views.live.refresh();
  }

  #state(state, why, ms) {
    this.connection.show(state, why, ms);
    if (state === "refused" || state === "forbidden") {
      this.changeToken.hidden = false;
      this.views.live.refuse(session.token ? why : "This service needs a token: the button at the top asks for it.");
    }
    if (state === "refused") { // where a right is missing, the other views may be what the token is for
      this.dialog.ask(session.token ? why : "");
    }
  }

  #snapshot(snapshot) {
    this.#calls.reset(snapshot);
    this.#lookForDoubtful();
    this.#draw();
    const wanted = this.#place().id;
    if (this.#place().name === "live" && wanted) {
      this.views.live.open(wanted);
    }
  }

  #event(event) {
    if (!this.#calls.observe(event)) {
      return;
    }
    if (event.type === "call.started") {
      this.#readPodsIn(REFRESH_MS);
    } else if (event.type === "call.ended") {
      this.#calls.tidy(this.#place().id);
      this.#lookForDoubtful();
    }
    this.#draw();
  }

  /** Read them at most so much later: calls that go on coming do not put it off. */
  #readPodsIn(ms) {
    const at = performance.now() + ms;
    if (this.#refresh === null || at < this.#refreshAt) {
      clearTimeout(this.#refresh);
      this.#refreshAt = at;
      this.#refresh = setTimeout(() => this.#readPods(), ms);
    }
  }

  /** Look, for as long as there are any, whether calls go on of which nothing was heard since they moved. */
  #lookForDoubtful() {
    if (this.#calls.doubtful) {
      this.#readPodsIn(DOUBT_MS);
    }
  }

  async #readPods() {
    this.#refresh = null;
    try {
      this.#calls.place(await this.#client.get("/v1/calls", { scope: "fleet" }));
      this.#draw();
    } catch {
      // The names of pods are missing in the list until the next call comes; the feed's state says what is wrong.
    }
    this.#lookForDoubtful();
  }

  #drawChanged() {
    const changed = new Map(this.#calls.changed);
    this.#calls.changed.clear();
    this.views.phone.draw(changed);
    this.views.live.draw(changed);
  }

  #place() {
    const [name, id = ""] = location.hash.slice(1).split("/");
    return { name: Object.hasOwn(this.views, name) ? name : "live", id: decoded(id) };
  }

  #route({ focus = true } = {}) {
    const { name, id } = this.#place();
    for (const [each, view] of Object.entries(this.views)) {
      const shown = each === name;
      if (!shown && !view.node.hidden) {
        view.close?.();
      }
      view.node.hidden = !shown;
    }
    for (const link of document.querySelectorAll("nav a")) {
      const here = link.hash === `#${name}`;
      here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    }
    document.title = `${name[0].toUpperCase()}${name.slice(1)} · Batkol`;
    this.views[name].open(id);
    if (focus && !id) {
      this.views[name].node.querySelector("h1")?.focus({ preventScroll: true });
    }
  }
}

/** Return the text of a part of the address; a part that encodes nothing, for it may be typed, stands for itself. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

new Console().start();
