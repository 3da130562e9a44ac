import assert from "node:assert/strict";
import { test } from "node:test";

const { readEvents } = await import(new URL("../../../service/batkol/web/console/api/feed.js", import.meta.url));

const EVENTS = 40;

/** Read events that take 1 ms each, and return how often the page was left time to draw. */
async function pauses({ hidden }) {
  const [before, later] = [globalThis.document, globalThis.setTimeout];
  let count = 0;
  globalThis.document = { hidden };
  globalThis.setTimeout = (run, ms, ...more) => {
    count += ms === undefined ? 1 : 0;
    return later(run, ms, ...more);
  };
  try {
    const client = { open: async () => new Response("data: {}\n\n".repeat(EVENTS)) };
    let read = 0;
    const slowly = () => {
      read++;
      for (const end = performance.now() + 1; performance.now() < end; );
    };
    await readEvents(client, "/v1/events", {}, { event: slowly });
    assert.equal(read, EVENTS);
  } finally {
    Object.assign(globalThis, { document: before, setTimeout: later });
  }
  return count;
}

test("many events leave the page time to draw", async () => {
  assert.ok((await pauses({ hidden: false })) >= 2);
});

test("a hidden page does not wait for its timers, which hardly come", async () => {
  assert.equal(await pauses({ hidden: true }), 0);
});
