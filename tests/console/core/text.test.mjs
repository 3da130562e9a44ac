import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { direction, isolates, isolatesCut } = await load("isolates");
const { changes, commonWords, heardPart, splitAfter } = await load("words");
const { EventStreamParser } = await load("sse");
const { Backoff } = await load("backoff");
const format = await load("format");

const runs = (text) => isolates(text).filter((part) => part.ltr).map((part) => part.text);

for (const [text, isolated] of [
  ["המספר שלי +972 54 123 4567 תודה", ["+972 54 123 4567"]],
  ["קבעתי ב-12:30 עם Google Cloud היום", ["12:30", "Google Cloud"]],
  ["דגם 3D Printer חדש", ["3D Printer"]],
  ["עד 50%, לא יותר", ["50%"]],
  ["יש לי 3 ילדים", []],
  ["שלום", []],
  ["+972 54 123", ["+972 54 123"]],
]) {
  test(`isolates of: ${text}`, () => {
    assert.deepEqual(runs(text), isolated);
    assert.equal(isolates(text).map((part) => part.text).join(""), text);
  });
}

test("a text of one direction has no isolates, and its own direction", () => {
  assert.deepEqual(isolates("call +972 54 123 now"), [{ text: "call +972 54 123 now", ltr: false }]);
  assert.equal(direction("call שלום"), "ltr");
  assert.equal(direction("3 שלום call"), "rtl");
  assert.equal(direction("12:30"), "rtl");
  assert.deepEqual(isolates(""), []);
  assert.deepEqual(isolates("54 123", "ltr"), [{ text: "54 123", ltr: false }]);
});

test("a number that grows or is cut off stays one isolate, with both of its halves", () => {
  const grown = isolatesCut("המספר +972 54 123", "המספר +972 54 ".length);
  assert.deepEqual(grown, [
    { before: "המספר ", after: "", ltr: false },
    { before: "+972 54 ", after: "123", ltr: true },
  ]);
  assert.deepEqual(isolatesCut("שלום", 0), [{ before: "", after: "שלום", ltr: false }]);
  assert.deepEqual(isolatesCut("שלום", 9), [{ before: "שלום", after: "", ltr: false }]);
});

test("the words that two texts begin with are settled", () => {
  assert.equal(commonWords("אני רוצה", "אני רוצה לקבוע"), 2);
  assert.equal(commonWords("אני רוצה", "אני רואה"), 1);
  assert.deepEqual(splitAfter("אני רוצה לקבוע", 2), ["אני רוצה ", "לקבוע"]);
  assert.deepEqual(splitAfter("אני", 1), ["אני", ""]);
  assert.deepEqual(splitAfter("", 0), ["", ""]);
});

test("a revision shows what is gone and what is new, and keeps every word", () => {
  assert.deepEqual(changes("אני רוצה תור מחר", "אני רוצה דוח מחר"), [
    { change: "same", text: "אני רוצה" },
    { change: "gone", text: "תור" },
    { change: "new", text: "דוח" },
    { change: "same", text: "מחר" },
  ]);
  assert.deepEqual(changes("תור", ""), [{ change: "gone", text: "תור" }]);
  const long = "מילה ".repeat(500).trim();
  assert.deepEqual(changes(long, `${long} סוף`).map((part) => part.change), ["gone", "new"]);
});

test("the heard part of a reply ends with a word", () => {
  assert.deepEqual(heardPart("בשמחה. יש תור ביום שני.", "בשמחה. יש"), ["בשמחה. יש ", "תור ביום שני."]);
  assert.deepEqual(heardPart("בשמחה.", "בשמחה."), ["בשמחה.", ""]);
  assert.deepEqual(heardPart("בשמחה.", ""), ["", "בשמחה."]);
});

test("an event stream is the same whole and letter by letter", () => {
  const stream = ": listening\nretry: 2000\nid: a-1\n\nid: a-2\nevent: dtmf\ndata: {\"a\":\ndata: 1}\n\r\nid: a-3\n\ndata: last\n\n";
  const whole = new EventStreamParser();
  const expected = whole.push(stream);
  assert.deepEqual(expected, [
    { type: "dtmf", data: '{"a":\n1}', id: "a-2" },
    { type: "message", data: "last", id: "a-3" },
  ]);
  assert.equal(whole.retryMs, 2000);
  const parts = new EventStreamParser();
  assert.deepEqual([...stream].flatMap((letter) => parts.push(letter)), expected);
  assert.equal(parts.lastId, "a-3");
});

test("a comment with an id moves the cursor, and an event that is not complete does not", () => {
  const parser = new EventStreamParser();
  parser.push("id: a-7\n\nid: a-8\ndata: x\n");
  assert.equal(parser.lastId, "a-7");
});

test("waiting doubles up to its limit, never falls below the server's wish, and begins anew", () => {
  const backoff = new Backoff(500, 4000, () => 1);
  assert.deepEqual([1, 2, 3, 4, 5].map(() => backoff.next()), [500, 1000, 2000, 4000, 4000]);
  backoff.succeeded();
  backoff.atLeast(2000);
  assert.equal(backoff.next(), 2000);
  const early = new Backoff(500, 4000, () => 0);
  assert.equal(early.next(), 500);
});

test("figures are written as people read them", () => {
  assert.equal(format.duration(7), "0:07");
  assert.equal(format.duration(3723.9), "1:02:03");
  assert.equal(format.milliseconds(741.4), "741 ms");
  assert.equal(format.milliseconds(1241), "1.24 s");
  assert.equal(format.milliseconds(null), "–");
  assert.equal(format.count(1, "call"), "1 call");
  assert.equal(format.count(1200, "call"), "1,200 calls");
  assert.equal(format.count(1, "event waits", "events wait"), "1 event waits");
  assert.equal(format.count(2, "event waits", "events wait"), "2 events wait");
  assert.equal(format.loudness(0), 0);
  assert.equal(format.loudness(1), 1);
});
