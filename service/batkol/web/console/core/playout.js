/**
 * The caller's ear: sound and marks in the order in which they came, played by the clock of the reader.
 *
 * Positions count the samples that were given. A mark is due once everything before it was read, and the sound has had
 * its way through the device. As at Twilio, `clear` drops the sound and gives back all marks that wait.
 */

export class Playout {
  #blocks = [];
  #offset = 0; // samples of the first block that were read
  #given = 0;
  #read = 0;
  #marks = []; // {name, at}
  #passed = []; // {name, due}: marks whose sound is on its way through the device
  #clock = 0; // samples that were asked for
  #holding = true;
  #held = 0;
  #cushion;

  /** `cushion`: samples that are kept ready before sound begins, against a network that is not even. */
  constructor(cushion = 0) {
    this.#cushion = cushion;
    this.latency = 0; // samples from here to the ear
  }

  get waiting() {
    return this.#given - this.#read;
  }

  push(samples) {
    if (samples.length) {
      this.#blocks.push(samples);
      this.#given += samples.length;
    }
  }

  mark(name) {
    this.#marks.push({ name, at: this.#given });
  }

  /** Drop what was not played. Returns the names of all marks that wait, in their order. */
  clear() {
    const names = [...this.#passed, ...this.#marks].map((mark) => mark.name);
    this.#blocks = [];
    this.#offset = 0;
    this.#read = this.#given;
    this.#marks = [];
    this.#passed = [];
    this.#holding = true;
    this.#held = 0;
    return names;
  }

  /** Fill `output`, with silence where there is no sound. Returns the names of the marks that are due now. */
  read(output) {
    output.fill(0);
    if (!this.#holds(output.length)) {
      this.#copy(output);
    }
    this.#clock += output.length;
    while (this.#marks.length && this.#marks[0].at <= this.#read) {
      this.#passed.push({ name: this.#marks.shift().name, due: this.#clock + this.latency });
    }
    const due = [];
    while (this.#passed.length && this.#passed[0].due <= this.#clock) {
      due.push(this.#passed.shift().name);
    }
    return due;
  }

  /** Whether sound is kept back until the cushion is full, or for as long as the cushion lasts. */
  #holds(samples) {
    if (this.#holding && this.waiting > 0) {
      this.#holding = this.waiting < this.#cushion && this.#held < this.#cushion;
      this.#held += samples;
    }
    return this.#holding;
  }

  #copy(output) {
    let filled = 0;
    while (filled < output.length && this.#blocks.length) {
      const block = this.#blocks[0];
      const part = block.subarray(this.#offset, this.#offset + output.length - filled);
      output.set(part, filled);
      filled += part.length;
      this.#offset += part.length;
      if (this.#offset === block.length) {
        this.#blocks.shift();
        this.#offset = 0;
      }
    }
    this.#read += filled;
    if (filled < output.length) {
      this.#holding = true;
      this.#held = 0;
    }
  }
}
