/** A stream of server-sent events, in parts of any length (HTML, section 9.2.6). */

export class EventStreamParser {
  #rest = "";
  #data = [];
  #type = "";
  #id = null;

  constructor() {
    this.lastId = ""; // the cursor: comments move it, too
    this.retryMs = null;
  }

  /** Return the events that are complete with this part: `{type, data, id}`. */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines) {
      const event = line === "" ? this.#dispatch() : this.#field(line);
      if (event) {
        events.push(event);
      }
    }
    return events;
  }

  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") {
      this.#data.push(value);
    } else if (name === "event") {
      this.#type = value;
    } else if (name === "id" && !value.includes("\0")) {
      this.#id = value;
    } else if (name === "retry" && /^\d+$/.test(value)) {
      this.retryMs = Number(value);
    }
    return null;
  }

  #dispatch() {
    this.lastId = this.#id ?? this.lastId;
    const event = this.#data.length ? { type: this.#type || "message", data: this.#data.join("\n"), id: this.lastId } : null;
    this.#data = [];
    this.#type = "";
    return event;
  }
}
