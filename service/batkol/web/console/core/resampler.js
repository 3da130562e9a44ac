/** A stream of samples at another rate: a windowed sinc, for any two rates. Blocks join without a seam. */

const ZERO_CROSSINGS = 24; // of the sinc, on each side
const PHASES = 256; // kernels between two samples
const PASSED = 0.94; // of the lower of the two bandwidths: 3.76 of 4 kHz

export class Resampler {
  #from;
  #to;
  #reach; // samples on each side of an output
  #kernels;
  #kept; // input that later outputs need
  #at; // of the next output, in samples of `#kept`

  /** Rates in Hz. */
  constructor(from, to) {
    this.#from = from;
    this.#to = to;
    const cutoff = Math.min(1, to / from) * PASSED;
    this.#reach = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.#kernels = kernels(cutoff, this.#reach);
    this.#kept = new Float32Array(2 * this.#reach);
    this.#at = this.#reach;
  }

  /** Return the outputs that the input up to here gives. */
  push(input) {
    const samples = new Float32Array(this.#kept.length + input.length);
    samples.set(this.#kept);
    samples.set(input, this.#kept.length);
    const step = this.#from / this.#to;
    const last = samples.length - this.#reach - 1;
    const count = Math.max(0, Math.ceil((last - this.#at) / step));
    const output = new Float32Array(count);
    for (let number = 0; number < count; number++) {
      output[number] = this.#sample(samples, this.#at + number * step);
    }
    this.#at += count * step;
    const unneeded = Math.floor(this.#at) - this.#reach;
    this.#kept = samples.slice(unneeded);
    this.#at -= unneeded;
    return output;
  }

  /** Forget the input. */
  clear() {
    this.#kept = new Float32Array(2 * this.#reach);
    this.#at = this.#reach;
  }

  #sample(samples, at) {
    const whole = Math.floor(at);
    const kernel = this.#kernels[Math.floor((at - whole) * PHASES)];
    const first = whole - this.#reach + 1;
    let sum = 0;
    for (let tap = 0; tap < kernel.length; tap++) {
      sum += samples[first + tap] * kernel[tap];
    }
    return sum;
  }
}

function kernels(cutoff, reach) {
  return Array.from({ length: PHASES }, (_, phase) => {
    const kernel = new Float32Array(2 * reach);
    let sum = 0;
    for (let tap = 0; tap < kernel.length; tap++) {
      const distance = tap - reach + 1 - phase / PHASES;
      kernel[tap] = sinc(distance * cutoff) * window(distance / reach);
      sum += kernel[tap];
    }
    return kernel.map((each) => each / sum);
  });
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Blackman's. */
function window(x) {
  return Math.abs(x) > 1 ? 0 : 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
}
