/** The view of the phone: dialling, devices, levels, keys, and the conversation of the call while it is up. */

import { devices, hasMicrophones, microphoneError, Sound } from "../phone/sound.js";
import { PhoneLine } from "../phone/line.js";
import { samplesOf } from "../core/wav.js";
import { duration, loudness } from "../core/format.js";
import { ConversationView } from "./conversation.js";
import { el, inNextFrame, setClass, write } from "./dom.js";
import { field, WhomToCall } from "./whom.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

export class PhoneView {
  #calls;
  #client;
  #session;
  #line = null;
  #sound = null;
  #sid = "";
  #begun = 0;
  #mayCall = false;
  #busy = false; // from the press of Call to the end of the call
  #muted = false;
  #drawLevels = inNextFrame(() => this.#writeLevels());
  #levels = { microphone: 0, ear: 0 };

  constructor({ calls, client, session, traceUrl, announce, onCall }) {
    this.#calls = calls;
    this.#client = client;
    this.#session = session;
    this.announce = announce;
    this.onCall = onCall; // gets whether a call is up
    this.conversation = new ConversationView({ traceUrl });
    this.#build();
    setInterval(() => this.#tick(), 500);
  }

  /** The view is shown. */
  async open() {
    this.#offerNumbers();
    if (hasMicrophones()) {
      await this.#listDevices();
    } else {
      this.#say("Browsers give a microphone to pages of this machine and of https alone. Open the page at localhost, or over https.", true);
      this.call.disabled = true;
    }
  }

  /** What this service says of itself and of the token: `{sentences: [{text, url}], builtin, may}` and what `WhomToCall` takes. */
  setAbout({ sentences = [], builtin = false, may = [], ...about }) {
    this.#mayCall = may.includes("line");
    this.whom.setAbout(about);
    if (!this.#mayCall) {
      this.#say("This token does not have the right `line`, so it cannot call.", true);
    }
    this.double.hidden = !builtin;
    this.sentences.replaceChildren(...sentences.map((each) => this.#sentence(each)));
  }

  /** Draw what changed: a Map of call SID -> entries, or null for all of the call. */
  draw(changed) {
    const entries = changed.get(this.#sid);
    this.empty.hidden = this.#sid !== "";
    if (entries === null) {
      this.#showTalk();
    } else if (entries) {
      this.conversation.update(entries);
      entries.forEach((entry) => this.announce(entry));
    }
  }

  #showTalk() {
    this.conversation.show(() => [...(this.#calls.get(this.#sid)?.entries.values() ?? [])]);
  }

  #build() {
    this.whom = new WhomToCall(() => this.#allowCall());
    this.microphone = el("select", { id: "phone-microphone" }, el("option", { value: "" }, "The browser’s own"));
    this.speaker = el("select", { id: "phone-speaker" }, el("option", { value: "" }, "The browser’s own"));
    this.echo = el("input", { id: "phone-echo", type: "checkbox", checked: true });
    this.call = el("button", { type: "submit", class: "primary big" }, "Call");
    this.hangUp = el("button", { type: "button", class: "danger big", hidden: true, onclick: () => this.#line?.hangUp() }, "Hang up");
    this.mute = el("button", { type: "button", "aria-pressed": "false", disabled: true, onclick: () => this.#toggleMute() }, "Mute");
    this.status = el("p", { class: "result", role: "status" });
    this.empty = el("p", { class: "empty" }, "What you and the agent say is written here, word by word.");
    this.time = el("span", { class: "time", "aria-hidden": "true" });
    this.meters = { microphone: meter("You"), ear: meter("Agent") };
    this.keypad = el("fieldset", { class: "keypad", disabled: true }, el("legend", {}, "Keypad"), KEYS.map((key) => el("button", { type: "button", onclick: () => this.#line?.press(key) }, key)));
    this.sentences = el("div", { class: "sentences" });
    this.double = el("section", { class: "double", hidden: true, "aria-label": "The built-in voice" }, el("p", {}, "A double stands in Google’s place here. It hears the words of the built-in voice, and no others: yours are silence to it. Let the built-in voice speak into the call:"), this.sentences);
    const form = el(
      "form",
      { class: "dial", onsubmit: (event) => this.#submit(event) },
      this.whom.nodes,
      el(
        "details",
        {},
        el("summary", {}, "Microphone and loudspeaker"),
        field("phone-microphone", "Microphone", this.microphone),
        field("phone-speaker", "Loudspeaker", this.speaker),
        el("label", { class: "inline", for: "phone-echo" }, this.echo, " Take the echo out (off with a headset)"),
      ),
      el("div", { class: "actions" }, this.call, this.hangUp, this.mute, this.time),
      this.status,
    );
    this.node = el(
      "section",
      { class: "view phone", "aria-label": "Phone" },
      el("div", { class: "handset" }, el("h1", { tabindex: -1 }, "Phone"), form, el("div", { class: "meters" }, this.meters.microphone.node, this.meters.ear.node), this.double, this.keypad),
      el("div", { class: "scroller talk", tabindex: 0, role: "region", "aria-label": "Conversation" }, this.conversation.node, this.empty),
    );
    this.node.addEventListener("keydown", (event) => this.#typed(event));
  }

  #submit(event) {
    event.preventDefault();
    return this.#dial();
  }

  async #dial() {
    if (this.#busy) {
      return;
    }
    this.#busy = true;
    this.#allowCall();
    this.#say("Opening the microphone …");
    const sound = new Sound({
      frame: (mulaw) => this.#line?.media(mulaw),
      played: (names) => names.forEach((name) => this.#line?.played(name)),
      levels: (levels) => this.#level(levels),
    });
    try {
      await sound.open({ microphone: this.microphone.value, speaker: this.speaker.value, echoCancellation: this.echo.checked });
    } catch (error) {
      this.#say(microphoneError(error), true);
      this.#busy = false;
      this.#allowCall();
      return;
    }
    this.#sound = sound;
    this.#line = new PhoneLine({
      started: (call) => this.#started(call),
      media: (mulaw) => sound.play(mulaw),
      mark: (name) => sound.mark(name),
      clear: () => sound.clear(),
      ended: (sentence) => this.#ended(sentence),
    });
    this.#say("Calling …");
    this.#line.dial(this.#session.token, this.whom.parameters());
    this.#offerNumbers();
    await this.#listDevices();
  }

  #offerNumbers() {
    this.whom.offerNumbers(this.#calls.all.map((call) => call.to).filter(Boolean));
  }

  #started({ callSid }) {
    this.#sid = callSid;
    this.node.dataset.call = callSid;
    this.#begun = Date.now();
    this.#showTalk();
    this.#up(true);
    this.#say("The call is up.");
  }

  #ended(sentence) {
    this.#sound?.close();
    this.#sound = null;
    this.#line = null;
    this.#busy = false;
    this.#up(false);
    this.#levels = { microphone: 0, ear: 0 };
    this.#drawLevels();
    this.#say(sentence);
  }

  #up(up) {
    this.call.hidden = up;
    this.#allowCall();
    this.hangUp.hidden = !up;
    this.keypad.disabled = !up;
    this.mute.disabled = !up;
    this.#muted = false;
    this.mute.setAttribute("aria-pressed", "false");
    setClass(this.node, "up", up);
    this.onCall(up);
    if (up) {
      this.hangUp.focus();
    }
  }

  /** A form is sent by Enter as well, even while its button is hidden, but not while that is disabled. */
  #allowCall() {
    this.call.disabled = this.#busy || !this.#mayCall || !hasMicrophones() || this.whom.isElsewhere;
  }

  #toggleMute() {
    this.#muted = !this.#muted;
    this.#sound?.mute(this.#muted);
    this.mute.setAttribute("aria-pressed", String(this.#muted));
  }

  /** Digits that are typed while the call is up are keys, but in a field. */
  #typed(event) {
    if (this.#line?.up && KEYS.includes(event.key) && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      this.#line.press(event.key);
    }
  }

  #sentence({ text, url }) {
    const say = async () => {
      if (!this.#sound) {
        this.#say("Call first; then the built-in voice can speak.", true);
        return;
      }
      try {
        const response = await this.#client.open(url);
        this.#sound?.say(samplesOf(await response.arrayBuffer()));
      } catch (error) {
        this.#say(error.message, true);
      }
    };
    return el("button", { type: "button", dir: "rtl", lang: "he", onclick: say }, text);
  }

  async #listDevices() {
    const { microphones, speakers } = await devices();
    fill(this.microphone, microphones, "Microphone");
    fill(this.speaker, speakers, "Loudspeaker");
    this.speaker.closest(".field").hidden = !("setSinkId" in AudioContext.prototype) || !speakers.length;
  }

  #say(sentence, bad = false) {
    this.status.textContent = sentence;
    setClass(this.status, "bad", bad);
  }

  #level(levels) {
    Object.assign(this.#levels, levels);
    this.#drawLevels();
  }

  #writeLevels() {
    for (const [name, { bar }] of Object.entries(this.meters)) {
      bar.value = loudness(this.#levels[name]);
    }
  }

  #tick() {
    if (this.#line?.up) {
      write(this.time, duration((Date.now() - this.#begun) / 1000));
    }
  }
}

function meter(name) {
  const bar = el("meter", { min: 0, max: 1, value: 0, "aria-label": `Level: ${name}` });
  return { node: el("p", { class: "level" }, el("span", { "aria-hidden": "true" }, name), bar), bar };
}

function fill(select, found, noun) {
  const chosen = select.value;
  const [own] = select.options;
  const options = found.filter(({ id }) => id !== "default").map(({ id, label }, number) => el("option", { value: id }, label || `${noun} ${number + 1}`));
  select.replaceChildren(own, ...options);
  select.value = found.some(({ id }) => id === chosen) ? chosen : "";
}
