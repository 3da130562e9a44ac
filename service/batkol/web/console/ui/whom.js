/** The fields before a call: which agent, which numbers, and which answerer and voice for this call alone. */

import { el } from "./dom.js";

const MOST_NUMBERS = 20;
const AS_THE_FLAGS_SAY = ["", "As the flags say"];

export class WhomToCall {
  #others = []; // consoles of other agents
  #replies = true; // whether the agent answers by itself
  #dialled = { from: new Set(), to: new Set() }; // numbers, while this page is open
  #onChange;

  /** `onChange` is called when another agent or answerer is chosen. */
  constructor(onChange) {
    this.#onChange = onChange;
    this.agent = el("strong", { dir: "auto" });
    this.toWhom = el("p", { class: "to-whom" }, "You call ", this.agent, ".");
    this.whom = el("select", { id: "phone-agent", onchange: () => this.#choose() });
    this.elsewhere = el("p", { class: "elsewhere", hidden: true });
    this.listens = el("p", { class: "note", hidden: true }, "It does not answer by itself (AGENT_REPLIES): it writes down what you say, and speaks what a client says in the call.");
    this.numbers = { from: number("phone-from", "+972541234567"), to: number("phone-to", "optional") };
    this.known = { from: el("datalist", { id: "phone-from-known" }), to: el("datalist", { id: "phone-to-known" }) };
    this.answerer = el("select", { id: "phone-answerer", onchange: () => this.#choose() });
    this.voice = el("select", { id: "phone-voice" });
    this.variant = el(
      "details",
      { class: "variant", hidden: true },
      el("summary", {}, "Answerer and voice"),
      field("phone-answerer", "Answerer", this.answerer),
      field("phone-voice", "Voice", this.voice),
      el("p", { class: "note" }, "For this call alone: nothing is stored, and other calls are as the flags say."),
    );
    this.nodes = [
      this.toWhom,
      field("phone-agent", "Agent", this.whom),
      this.elsewhere,
      this.listens,
      el("div", { class: "pair" }, field("phone-from", "Your number", this.numbers.from), field("phone-to", "Called number", this.numbers.to)),
      ...Object.values(this.known),
      this.variant,
    ];
  }

  /** Whether an agent is chosen that this service does not have. */
  get isElsewhere() {
    return this.whom.value !== "";
  }

  /** Take what this service says of itself: `{agent, others: [{agent, url}], answerers, voices, replies}`. */
  setAbout({ agent, others = [], answerers = [], voices = [], replies = true }) {
    const own = agent || "the agent of this service";
    this.#others = others;
    this.#replies = replies;
    this.agent.textContent = own;
    this.toWhom.hidden = others.length > 0;
    this.whom.closest(".field").hidden = !others.length;
    offer(this.whom, [["", own], ...others.map((each) => [each.agent, each.agent])]);
    offer(this.answerer, [AS_THE_FLAGS_SAY, ...answerers.map((name) => [name, name])]);
    offer(this.voice, [AS_THE_FLAGS_SAY, ...voices.map((name) => [name, name])]);
    this.variant.hidden = answerers.length < 2 && voices.length < 2;
    this.#choose();
  }

  /** Return the parameters of a call that begins now, and remember its numbers. */
  parameters() {
    const numbers = { from: this.numbers.from.value.trim(), to: this.numbers.to.value.trim() };
    for (const [name, value] of Object.entries(numbers).filter(([, value]) => value)) {
      this.#dialled[name].delete(value);
      this.#dialled[name].add(value);
    }
    return { ...numbers, answerer: this.answerer.value, voice: this.voice.value };
  }

  /** Offer the numbers that were used since the page was opened, the newest first, and `called`: those of live calls. */
  offerNumbers(called) {
    const newest = (name) => [...this.#dialled[name]].reverse();
    const found = { from: newest("from"), to: [...new Set([...newest("to"), ...called])] };
    for (const [name, list] of Object.entries(this.known)) {
      list.replaceChildren(...found[name].slice(0, MOST_NUMBERS).map((value) => el("option", { value })));
    }
  }

  #choose() {
    const other = this.#others.find(({ agent }) => agent === this.whom.value);
    this.elsewhere.hidden = !other;
    if (other) {
      const link = el("a", { href: `${other.url.split("#")[0]}#phone`, target: "_blank", rel: "noopener noreferrer" }, `Open the phone of ${other.agent}`);
      this.elsewhere.replaceChildren("It is called from its own console, with a token of its own. ", link, " (in a new tab).");
    }
    this.listens.hidden = this.#replies || this.isElsewhere || this.answerer.value !== ""; // who chooses one hears it
    this.#onChange();
  }
}

export function field(id, label, control) {
  return el("div", { class: "field" }, el("label", { for: id }, label), control);
}

function number(id, placeholder) {
  return el("input", { id, list: `${id}-known`, dir: "ltr", inputmode: "tel", autocomplete: "off", placeholder });
}

/** Offer these `[value, text]` in a select; what was chosen stays if it is still there. */
function offer(select, options) {
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  select.value = options.some(([value]) => value === chosen) ? chosen : "";
}
