/**
 * The phone's WebSocket: Twilio's messages of a media stream as a caller's side sends them.
 *
 * `on` gets `started({callSid, streamSid, agent})`, `media(mulaw)`, `mark(name)`, `clear()`, `ended(sentence)`.
 */

import { decode, encode, urlEncode } from "../core/base64.js";
import { hungUpBecause } from "../core/reasons.js";

const FRAME_MS = 20;
const BEHIND = 64_000; // bytes that the network may hold back, about 6 s; then frames are dropped

export class PhoneLine {
  #socket;
  #on;
  #call = null;
  #sequence = 0;
  #chunk = 0;
  #ended = false;

  constructor(on) {
    this.#on = on;
  }

  get up() {
    return this.#call !== null && !this.#ended;
  }

  /** Call. `parameters` has `from`, `to`, `answerer` and `voice`; what is empty is left out. */
  dial(token, parameters) {
    const url = new URL("../v1/phone", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const protocols = ["batkol.phone", ...(token ? [`bearer.${urlEncode(token)}`] : [])];
    this.#socket = new WebSocket(url, protocols);
    this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(data), parameters);
    this.#socket.onclose = ({ code, reason }) => this.#end(hungUpBecause(code, reason, this.#call !== null));
  }

  /** Send 20 ms of mu-law. */
  media(mulaw) {
    if (!this.up || this.#socket.bufferedAmount > BEHIND) {
      this.#chunk += this.up ? 1 : 0; // its time passes all the same
      return;
    }
    const chunk = ++this.#chunk;
    this.#send("media", { media: { track: "inbound", chunk: String(chunk), timestamp: String((chunk - 1) * FRAME_MS), payload: encode(mulaw) } });
  }

  played(name) {
    this.#send("mark", { mark: { name } });
  }

  press(digit) {
    this.#send("dtmf", { dtmf: { track: "inbound_track", digit } });
  }

  hangUp() {
    if (this.up) {
      this.#send("stop", { stop: { accountSid: this.#call.accountSid, callSid: this.#call.callSid } });
    }
    this.#socket?.close(1000);
    this.#end("You hung up.");
  }

  #take(message, parameters) {
    switch (message.event) {
      case "connected":
        this.#start(message, parameters);
        break;
      case "media":
        this.#on.media(decode(message.media.payload));
        break;
      case "mark":
        this.#on.mark(message.mark.name);
        break;
      case "clear":
        this.#on.clear();
        break;
    }
  }

  #start({ callSid, streamSid, accountSid, agent }, parameters) {
    this.#call = { callSid, streamSid, accountSid };
    this.#socket.send(JSON.stringify({ event: "connected", protocol: "Call", version: "1.0.0" }));
    this.#send("start", {
      start: {
        streamSid,
        callSid,
        accountSid,
        tracks: ["inbound"],
        mediaFormat: { encoding: "audio/x-mulaw", sampleRate: 8000, channels: 1 },
        customParameters: Object.fromEntries(Object.entries(parameters).filter(([, value]) => value)),
      },
    });
    this.#on.started({ callSid, streamSid, agent });
  }

  #send(event, fields) {
    if (this.up && this.#socket.readyState === WebSocket.OPEN) { // the service may be closing it
      this.#socket.send(JSON.stringify({ event, sequenceNumber: String(++this.#sequence), streamSid: this.#call.streamSid, ...fields }));
    }
  }

  #end(sentence) {
    if (!this.#ended) {
      this.#ended = true;
      this.#on.ended(sentence);
    }
  }
}
