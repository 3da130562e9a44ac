/** Words of two versions of a text, and what became of them. */

const LONGEST = 400; // words; beyond that only the ends are compared

/** Return the words that both texts begin with. */
export function commonWords(before, after) {
  const old = split(before);
  const fresh = split(after);
  let same = 0;
  while (same < old.length && same < fresh.length && old[same] === fresh[same]) {
    same++;
  }
  return same;
}

/** Return the text of the first words, and the rest of it. */
export function splitAfter(text, words) {
  let at = 0;
  for (const match of text.matchAll(/\S+/gu)) {
    if (words-- === 0) {
      return [text.slice(0, match.index), text.slice(match.index)];
    }
    at = match.index + match[0].length;
  }
  return [text.slice(0, at), text.slice(at)];
}

/** Return `{text, change}` in reading order; `change` is `same`, `gone` or `new`. */
export function changes(before, after) {
  const old = split(before);
  const fresh = split(after);
  if (old.length > LONGEST || fresh.length > LONGEST) {
    return before === after ? runs([["same", fresh]]) : runs([["gone", old], ["new", fresh]]);
  }
  const lengths = longestCommon(old, fresh);
  const found = [];
  let [a, b] = [0, 0];
  while (a < old.length || b < fresh.length) {
    if (a < old.length && b < fresh.length && old[a] === fresh[b]) {
      found.push(["same", [fresh[b]]]);
      [a, b] = [a + 1, b + 1];
    } else if (b === fresh.length || (a < old.length && lengths[a + 1][b] >= lengths[a][b + 1])) {
      found.push(["gone", [old[a++]]]);
    } else {
      found.push(["new", [fresh[b++]]]);
    }
  }
  return runs(found);
}

/**
 * Return the part of a reply that was heard, and the rest. `heard` is the beginning of `intended`, but for white space
 * and the end of a word.
 */
export function heardPart(intended, heard) {
  return splitAfter(intended, split(heard).length);
}

function split(text) {
  return text.split(/\s+/u).filter(Boolean);
}

function runs(parts) {
  const joined = [];
  for (const [change, words] of parts) {
    const last = joined.at(-1);
    if (last?.change === change) {
      last.text += ` ${words.join(" ")}`;
    } else if (words.length) {
      joined.push({ change, text: words.join(" ") });
    }
  }
  return joined;
}

function longestCommon(old, fresh) {
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint16Array(fresh.length + 1));
  for (let a = old.length - 1; a >= 0; a--) {
    for (let b = fresh.length - 1; b >= 0; b--) {
      lengths[a][b] = old[a] === fresh[b] ? lengths[a + 1][b + 1] + 1 : Math.max(lengths[a + 1][b], lengths[a][b + 1]);
    }
  }
  return lengths;
}
