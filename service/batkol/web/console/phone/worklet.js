/** The two ends of the phone's sound, on the audio thread: the microphone in 20 ms of mu-law, and the caller's ear. */

import { decode, encode, RATE, SILENCE } from "../core/mulaw.js";
import { Playout } from "../core/playout.js";
import { Resampler } from "../core/resampler.js";

const FRAME = RATE / 50; // samples in 20 ms
const CUSHION_MS = 60;
const LEVEL_EVERY = 2; // frames

/**
 * Gives `{frame, level}` for each 20 ms; a muted one is silence, and goes on. Takes `{muted}`, and `{say}`: samples at 8 kHz
 * that go out in the microphone's place, by its clock.
 */
class Microphone extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, RATE);
  #waiting = new Float32Array(0);
  #muted = false;
  #said = null;
  #frames = 0;
  #loudest = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data: { muted = this.#muted, say = this.#said } }) => {
      this.#muted = muted;
      this.#said = say;
    };
  }

  process([[channel]]) {
    const samples = this.#resampler.push(channel ?? new Float32Array(128));
    const joined = new Float32Array(this.#waiting.length + samples.length);
    joined.set(this.#waiting);
    joined.set(samples, this.#waiting.length);
    let at = 0;
    for (; at + FRAME <= joined.length; at += FRAME) {
      this.#send(this.#fromSaid() ?? joined.subarray(at, at + FRAME));
    }
    this.#waiting = joined.slice(at);
    return true;
  }

  /** Return the next 20 ms of what is said in the microphone's place, or null. */
  #fromSaid() {
    if (this.#said === null) {
      return null;
    }
    const samples = new Float32Array(FRAME);
    samples.set(this.#said.subarray(0, FRAME));
    this.#said = this.#said.length > FRAME ? this.#said.subarray(FRAME) : null;
    return samples;
  }

  #send(samples) {
    this.#loudest = Math.max(this.#loudest, rms(samples));
    this.#frames++;
    const frame = this.#muted ? new Uint8Array(FRAME).fill(SILENCE) : encode(samples);
    const level = this.#frames % LEVEL_EVERY ? null : this.#loudest;
    this.port.postMessage({ frame, level }, [frame.buffer]);
    if (level !== null) {
      this.#loudest = 0;
    }
  }
}

/** Takes `{media}`, `{mark}`, `{clear}` and `{latency}` (s); gives `{played: names}`, `{level}`. */
class Ear extends AudioWorkletProcessor {
  #resampler = new Resampler(RATE, sampleRate);
  #playout = new Playout((CUSHION_MS / 1000) * sampleRate);
  #blocks = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#take(data);
  }

  process(_, [output]) {
    const [first, ...others] = output;
    this.#tell(this.#playout.read(first));
    others.forEach((channel) => channel.set(first));
    if (++this.#blocks % 16 === 0) {
      this.port.postMessage({ level: rms(first), waiting: this.#playout.waiting / sampleRate });
    }
    return true;
  }

  #take({ media, mark, clear, latency }) {
    if (media) {
      this.#playout.push(this.#resampler.push(decode(media)));
    } else if (mark !== undefined) {
      this.#playout.mark(mark);
    } else if (clear) {
      this.#resampler.clear();
      this.#tell(this.#playout.clear());
    } else if (latency !== undefined) {
      this.#playout.latency = Math.round(latency * sampleRate);
    }
  }

  #tell(names) {
    if (names.length) {
      this.port.postMessage({ played: names });
    }
  }
}

function rms(samples) {
  let sum = 0;
  for (const sample of samples) {
    sum += sample * sample;
  }
  return Math.sqrt(sum / samples.length);
}

registerProcessor("microphone", Microphone);
registerProcessor("ear", Ear);
