/** What a screen reader says of the call that is open: whole texts alone, one at a time, and not more than it can read. */

const PAUSE_MS = 1500;
const MOST = 3; // that wait; older ones are dropped

export class Announcer {
  #waiting = [];
  #said = new WeakSet();
  #busy = false;

  constructor(node) {
    this.node = node;
  }

  /** Say an entry of the conversation once it is final. */
  entry(entry) {
    const text = finished(entry);
    if (text && !this.#said.has(entry)) {
      this.#said.add(entry);
      this.say(text);
    }
  }

  say(text) {
    this.#waiting.push(text);
    this.#waiting.splice(0, this.#waiting.length - MOST);
    if (!this.#busy) {
      this.#next();
    }
  }

  #next() {
    const text = this.#waiting.shift();
    this.#busy = text !== undefined;
    if (this.#busy) {
      this.node.textContent = text;
      setTimeout(() => this.#next(), PAUSE_MS);
    }
  }
}

function finished(entry) {
  if (entry.kind === "utterance" && entry.final) {
    return entry.text && `Caller: ${entry.text}`;
  }
  return entry.kind === "reply" && entry.ended ? `Agent: ${entry.heard}` : "";
}
