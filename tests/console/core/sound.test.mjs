import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { decode, encode, SILENCE } = await load("mulaw");
const { Resampler } = await load("resampler");
const { Playout } = await load("playout");
const base64 = await load("base64");

const tone = (hz, rate, samples) => Float32Array.from({ length: samples }, (_, at) => Math.sin((2 * Math.PI * hz * at) / rate));
const rms = (samples) => Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length);

test("all codes of mu-law come back, but for the second zero", () => {
  const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
  const again = encode(decode(codes));
  assert.deepEqual([...again].filter((code, at) => code !== at && !(at === 0x7f && code === 0xff)), []);
  assert.equal(decode([SILENCE])[0], 0);
  // G.711, table 2a: the loudest sample is 32124 of 32768, and code 0x80 is positive
  assert.equal(decode([0x80])[0], 32124 / 32768);
  assert.equal(decode([0x00])[0], -32124 / 32768);
});

test("samples out of range are clipped", () => {
  assert.deepEqual([...encode([2, -2, 1, -1])], [0x80, 0x00, 0x80, 0x00]);
});

for (const rate of [48_000, 44_100, 16_000]) {
  test(`a tone of the telephone's band (300 to 3400 Hz) passes from ${rate} Hz to 8 kHz and back`, () => {
    for (const hz of [300, 1000, 3400]) {
      const down = new Resampler(rate, 8000).push(tone(hz, rate, rate)).subarray(800, 7000);
      assert.ok(Math.abs(rms(down) - Math.SQRT1_2) < 0.02, `${hz} Hz: ${rms(down)}`);
      const up = new Resampler(8000, rate).push(tone(hz, 8000, 8000)).subarray(rate / 10, (rate * 7) / 8);
      assert.ok(Math.abs(rms(up) - Math.SQRT1_2) < 0.02, `${hz} Hz: ${rms(up)}`);
    }
  });
}

test("a tone above the telephone's band is taken out, and does not fold into it", () => {
  for (const hz of [4300, 5000, 9000, 20_000]) {
    const down = new Resampler(48_000, 8000).push(tone(hz, 48_000, 48_000)).subarray(800, 7000);
    assert.ok(rms(down) < 0.003, `${hz} Hz: ${rms(down)}`);
  }
});

test("blocks of any length join without a seam, and no sample is lost", () => {
  const sound = tone(440, 44_100, 44_100);
  const whole = new Resampler(44_100, 8000).push(sound);
  const parts = new Resampler(44_100, 8000);
  const joined = [];
  for (let at = 0, length = 1; at < sound.length; at += length, length = (length * 7) % 301) {
    joined.push(...parts.push(sound.subarray(at, at + length)));
  }
  assert.equal(joined.length, whole.length);
  assert.ok(joined.every((sample, at) => Math.abs(sample - whole[at]) < 1e-5));
  assert.ok(Math.abs(whole.length - 8000) < 10);
});

const read = (playout, samples) => {
  const output = new Float32Array(samples);
  return { names: playout.read(output), output: [...output] };
};

test("a mark is due when all before it was read, and not sooner", () => {
  const playout = new Playout();
  playout.push(Float32Array.of(1, 2, 3));
  playout.mark("three");
  playout.push(Float32Array.of(4));
  playout.mark("four");
  assert.deepEqual(read(playout, 2), { names: [], output: [1, 2] });
  assert.deepEqual(read(playout, 1), { names: ["three"], output: [3] });
  assert.deepEqual(read(playout, 3), { names: ["four"], output: [4, 0, 0] });
});

test("a mark without sound before it is due at once", () => {
  const playout = new Playout();
  playout.mark("now");
  assert.deepEqual(read(playout, 1).names, ["now"]);
});

test("a mark waits as long as its sound is on its way through the device", () => {
  const playout = new Playout();
  playout.latency = 4;
  playout.push(Float32Array.of(1, 2));
  playout.mark("heard");
  assert.deepEqual(read(playout, 2).names, []);
  assert.deepEqual(read(playout, 2).names, []);
  assert.deepEqual(read(playout, 2).names, ["heard"]);
});

test("a clear drops what was not played and gives back every mark once, in order", () => {
  const playout = new Playout();
  playout.latency = 100;
  playout.push(Float32Array.of(1));
  playout.mark("on its way");
  read(playout, 1);
  playout.push(Float32Array.of(2, 3));
  playout.mark("waits");
  assert.deepEqual(playout.clear(), ["on its way", "waits"]);
  assert.deepEqual(read(playout, 200), { names: [], output: Array(200).fill(0) });
  assert.equal(playout.waiting, 0);
});

test("sound begins when the cushion is full, or when it has waited for as long as that", () => {
  const full = new Playout(4);
  full.push(Float32Array.of(1, 2));
  assert.deepEqual(read(full, 2).output, [0, 0]);
  full.push(Float32Array.of(3, 4));
  assert.deepEqual(read(full, 4).output, [1, 2, 3, 4]);

  const short = new Playout(4);
  short.push(Float32Array.of(1));
  assert.deepEqual(read(short, 2).output, [0, 0]);
  assert.deepEqual(read(short, 2).output, [0, 0]);
  assert.deepEqual(read(short, 2).output, [1, 0], "a short sound is not kept for ever");
});

test("base64 has bytes of any length, and tokens without a letter that a subprotocol cannot have", () => {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, at) => at * 7);
  assert.deepEqual(base64.decode(base64.encode(bytes)), bytes);
  assert.equal(base64.urlEncode("שלום?>~"), Buffer.from("שלום?>~").toString("base64url"));
});

/** A WAV file of 16 bits, with a chunk before the data that nobody needs. */
const wav = (samples, rate = 8000) => {
  const file = Buffer.alloc(56 + 2 * samples.length);
  file.write("RIFF....WAVEfmt ");
  file.writeUInt32LE(16, 16);
  [[1, 20], [1, 22], [2, 32], [16, 34]].forEach(([value, at]) => file.writeUInt16LE(value, at));
  file.writeUInt32LE(rate, 24);
  file.write("LIST", 36);
  file.writeUInt32LE(4, 40);
  file.write("data", 48);
  file.writeUInt32LE(2 * samples.length, 52);
  samples.forEach((sample, at) => file.writeInt16LE(sample, 56 + 2 * at));
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
};

test("a WAV file of the service's is read to the sample, and another kind is refused", async () => {
  const { samplesOf } = await load("wav");
  assert.deepEqual([...samplesOf(wav([0, 16384, -32768]))], [0, 0.5, -1]);
  assert.throws(() => samplesOf(wav([0], 48_000)), /another kind than 8 kHz/);
  assert.throws(() => samplesOf(new ArrayBuffer(30)), /another kind/);
});
