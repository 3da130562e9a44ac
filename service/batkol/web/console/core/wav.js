/** A WAV file of the service's: 16 bits, one channel, 8 kHz. */

import { RATE } from "./mulaw.js";

/** Return the samples, between -1 and 1. Throws for any other file. */
export function samplesOf(file) {
  const view = new DataView(file);
  const name = (at) => String.fromCharCode(...new Uint8Array(file, at, 4));
  let format = null;
  for (let at = 12; at + 8 <= file.byteLength; at += 8 + view.getUint32(at + 4, true)) {
    if (name(at) === "fmt ") {
      format = { channels: view.getUint16(at + 10, true), rate: view.getUint32(at + 12, true), bits: view.getUint16(at + 22, true) };
    } else if (name(at) === "data" && format) {
      if (format.channels !== 1 || format.rate !== RATE || format.bits !== 16) {
        break;
      }
      return Float32Array.from({ length: view.getUint32(at + 4, true) / 2 }, (_, number) => view.getInt16(at + 8 + 2 * number, true) / 32768);
    }
  }
  throw new Error("The service sent a sound of another kind than 8 kHz, 16 bits, one channel.");
}
