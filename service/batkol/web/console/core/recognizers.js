/** Which streaming recognizer heard what of a call: each final has its name, and none where another source gave the text. */

const NAMED = 3; // names that stand there one by one

/**
 * Return the names in the order in which they heard the call, as one text; an empty one where none is known.
 * `now` is the one that hears it now, or empty.
 */
export function recognizersOf(entries, now = "") {
  const names = [];
  for (const { final } of entries) {
    if (final?.recognizer && final.recognizer !== names.at(-1)) {
      names.push(final.recognizer);
    }
  }
  if (now && now !== names.at(-1)) {
    names.push(now);
  }
  return names.length <= NAMED ? names.join(", then ") : `${names.at(-1)}, after ${names.length - 1} changes`;
}

/** Return who heard the utterance before this one, if that was another one; else an empty text. */
export function heardBefore(utterance, entries) {
  const name = utterance.final?.recognizer;
  let former = "";
  for (const entry of name ? entries : []) {
    if (entry === utterance) {
      break;
    }
    former = entry.final?.recognizer || former;
  }
  return former === name ? "" : former;
}
