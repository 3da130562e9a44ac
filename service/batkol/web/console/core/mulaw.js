/** Mu-law (ITU-T G.711) from and to samples between -1 and 1. */

export const SILENCE = 0xff;
export const RATE = 8000; // Hz

const BIAS = 0x84;
const CLIP = 32635;

/** Samples of all 256 codes. */
const SAMPLES = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const exponent = (bits >> 4) & 7;
  const size = ((((bits & 0x0f) << 3) + BIAS) << exponent) - BIAS;
  return (bits & 0x80 ? -size : size) / 32768;
});

/** Return the codes of samples; louder ones than 1 are clipped. */
export function encode(samples) {
  return Uint8Array.from(samples, code);
}

/** Return the samples of codes. */
export function decode(codes) {
  return Float32Array.from(codes, (each) => SAMPLES[each]);
}

function code(sample) {
  const pcm = Math.round(sample * 32768);
  const sign = pcm < 0 ? 0x80 : 0;
  const size = Math.min(Math.abs(pcm), CLIP) + BIAS;
  const exponent = 31 - Math.clz32(size) - 7;
  return ~(sign | (exponent << 4) | ((size >> (exponent + 3)) & 0x0f)) & 0xff;
}
