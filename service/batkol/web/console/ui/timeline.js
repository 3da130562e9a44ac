/** The timeline of a turn as a drawing, with its numbers as text beside it. */

import { milliseconds } from "../core/format.js";
import { el, svg } from "./dom.js";

const WIDTH = 600; // units of the drawing, which is as wide as its place
const HEIGHT = 34;
const SPEECH_SHOWN_MS = 1500; // of the speech before the caller's last sample
const SHORTEST_MS = 1200; // after it

/** Return the figure of a timeline, as `core/turns.js` makes it; null where there is nothing to show. */
export function timelineFigure({ speechMs, points, parts }) {
  if (!points.length && !parts.length) {
    return null;
  }
  const last = Math.max(SHORTEST_MS, ...points.map((each) => each.ms), ...parts.map((each) => each.to));
  const before = Math.min(SPEECH_SHOWN_MS, speechMs ?? 0);
  const x = (ms) => ((Math.max(ms, -before) + before) / (before + last * 1.02)) * WIDTH;
  const bars = [
    speechMs && bar(x(-before), x(0), "speech"),
    ...parts.map((part, number) => bar(x(part.from), x(part.to), `part part-${number}`)),
  ];
  const ticks = points.map(({ name, ms }) =>
    svg(
      "g",
      { class: `tick ${name}` },
      svg("line", { class: "stem", x1: x(ms), x2: x(ms), y1: 6, y2: HEIGHT - 10 }),
      svg("line", { class: "head", x1: x(ms), x2: x(ms), y1: 5, y2: 5 }), // a point whose round cap keeps its shape
    ),
  );
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
    svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - 4, y2: HEIGHT - 4 }),
    seconds(x, last),
    bars,
    svg("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: HEIGHT }),
    ticks,
  );
  return el("figure", { class: "timeline" }, drawing, numbers(speechMs, points, parts));
}

function bar(from, to, name) {
  return svg("rect", { class: name, x: from, width: Math.max(1, to - from), y: 10, height: 14, rx: 2 });
}

function seconds(x, last) {
  const lines = [];
  for (let ms = 500; ms <= last; ms += 500) {
    lines.push(svg("line", { class: "second", x1: x(ms), x2: x(ms), y1: HEIGHT - 7, y2: HEIGHT - 1 }));
  }
  return lines;
}

function numbers(speechMs, points, parts) {
  const rows = [
    speechMs !== null && ["speech", speechMs, "speech"],
    ...points.map(({ name, ms }) => [name, ms, name]),
    ...parts.map((part, number) => [`+ ${part.name}`, part.to - part.from, `part-${number}`]),
  ];
  return el(
    "dl",
    { class: "numbers" },
    rows.filter(Boolean).map(([name, ms, key]) => el("div", { class: key }, el("dt", {}, name), el("dd", {}, milliseconds(ms)))),
  );
}
