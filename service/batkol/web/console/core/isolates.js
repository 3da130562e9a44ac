/**
 * Parts of a text that keep their own direction in a right-to-left sentence.
 *
 * The bidirectional algorithm orders a telephone number with spaces, or a Latin name that a digit begins, group by group
 * from the right: "+972 54 123" shows as "123 54 972+". Such a run is to be shown in an isolate (`<bdi dir="ltr">`).
 */

const RUN = /[+(]?[\p{Script=Latin}\p{Nd}](?:[\p{Script=Latin}\p{Nd}\p{M}+\-–./:,'’@&()_#*%₪$€ ]*[\p{Script=Latin}\p{Nd}%₪$€)])?/gu;
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;

/** Return the text in parts `{text, ltr}`. Joined they are the text. `around` is the direction of its paragraph. */
export function isolates(text, around = direction(text)) {
  if (around === "ltr" && !RIGHT_TO_LEFT.test(text)) {
    return text ? [{ text, ltr: false }] : [];
  }
  const parts = [];
  let at = 0;
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (run.length > 1 && /[^\p{Nd}\p{Script=Latin}]|\p{Nd}\p{Script=Latin}|\p{Script=Latin}\p{Nd}/u.test(run)) {
      if (index > at) {
        parts.push({ text: text.slice(at, index), ltr: false });
      }
      parts.push({ text: run, ltr: true });
      at = index + run.length;
    }
  }
  if (at < text.length) {
    parts.push({ text: text.slice(at), ltr: false });
  }
  return parts;
}

/**
 * Return the same parts, cut in two behind so many characters: an isolate in which the cut falls is one part with both of
 * its halves. Each part is `{before, after, ltr}`, of which one may be empty.
 */
export function isolatesCut(text, length) {
  let begin = 0;
  return isolates(text).map(({ text: part, ltr }) => {
    const cut = Math.min(Math.max(length - begin, 0), part.length);
    begin += part.length;
    return { before: part.slice(0, cut), after: part.slice(cut), ltr };
  });
}

/** Return `rtl` or `ltr`: the direction of the first letter, and right-to-left for a text of none in a Hebrew call. */
export function direction(text) {
  const first = /\p{L}/u.exec(text);
  return !first || RIGHT_TO_LEFT.test(first[0]) ? "rtl" : "ltr";
}
