/** Figures and times as people read them. */

/** Return `0:07`, `12:34` or `1:02:03`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Return `640 ms` or `1.24 s`; a dash for null. */
export function milliseconds(ms) {
  if (ms === null || ms === undefined) {
    return "–";
  }
  return Math.abs(ms) < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** Return the local time of day. */
export function clock(date) {
  return CLOCK.format(date);
}

/** Return the local day and time of day. */
export function moment(date) {
  return `${DAY.format(date)}, ${CLOCK.format(date)}`;
}

/** Return `1 call`, `2 calls`; `many` is by default the noun and an s. */
export function count(number, noun, many = `${noun}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : many}`;
}

/** Return the decibels of a level between 0 and 1, from -60 up, as a part of 60. */
export function loudness(level) {
  return level > 0 ? Math.min(1, Math.max(0, 1 + (20 * Math.log10(level)) / 60)) : 0;
}
