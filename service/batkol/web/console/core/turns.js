/**
 * The timeline of a turn, in ms from the caller's last sample of speech: how long the speech was, when the service knew
 * what, and what the latency of the reply is made of.
 */

import { PARTS } from "./entries.js";

/** Return the utterance that a reply answers: the newest one with speech before it. */
export function questionOf(entries, reply) {
  if (reply.latencyMs === null) {
    return null;
  }
  let found = null;
  for (const entry of entries) {
    if (entry === reply) {
      break;
    }
    if (entry.kind === "utterance" && entry.text) {
      found = entry;
    }
  }
  return found;
}

/**
 * Return `{speechMs, points, parts}`: points are `{name, ms}` in their order, parts `{name, from, to}` of the reply's
 * latency. `reply` may be null or still go on.
 */
export function timeline(utterance, reply) {
  const points = [...hearing(utterance), ...(reply?.latencyMs ? [{ name: "reply", ms: reply.latencyMs }] : [])];
  return {
    speechMs: spoken(utterance),
    points: points.filter((point) => Number.isFinite(point.ms)).sort((a, b) => a.ms - b.ms),
    parts: latencyParts(reply),
  };
}

function spoken({ speechMs, beginMs, endMs }) {
  const begin = speechMs ?? beginMs;
  return endMs === null || begin === null ? null : Math.max(0, endMs - begin);
}

function hearing({ final, tentativeAt, quietAt, withdrawn }) {
  if (!final) {
    return [];
  }
  const lastSample = final.at - final.latencyMs;
  const points = [{ name: "final", ms: final.latencyMs }];
  if (tentativeAt !== null && !withdrawn) {
    points.push({ name: "tentative", ms: tentativeAt - lastSample });
  }
  if (quietAt !== null) {
    points.push({ name: "quiet", ms: quietAt - lastSample });
  }
  return points;
}

function latencyParts(reply) {
  if (!reply?.parts) {
    return [];
  }
  const found = [];
  let from = 0;
  for (const [key, name] of PARTS) {
    const length = reply.parts[key];
    if (typeof length === "number") {
      found.push({ name, from, to: from + length });
      from += length;
    }
  }
  return found;
}
