// A bot of Node's own fetch (18 or later, no package): it hears every final of every call, says what it heard, and
// goes on where it was when the connection breaks.
const url = process.env.BATKOL_URL;
if (!url) {
  console.error("Set BATKOL_URL to the internal API, such as http://localhost:8081.");
  process.exit(1);
}
const headers = process.env.BATKOL_TOKEN ? { Authorization: `Bearer ${process.env.BATKOL_TOKEN}` } : {};
const SILENCE_MS = 50_000; // the service sends a comment every 15 s
let cursor = "";
let retryMs = 1_000;

/** Yield the events of one connection, until it ends. */
async function* connection() {
  const silence = new AbortController();
  const watch = () => setTimeout(() => silence.abort(new Error("the feed is silent")), SILENCE_MS);
  let timer = watch();
  try {
    const response = await fetch(`${url}/v1/events?scope=fleet&type=final`, {
      headers: { ...headers, Accept: "text/event-stream", ...(cursor && { "Last-Event-ID": cursor }) },
      signal: silence.signal,
    });
    if (!response.ok) throw new Refused(response.status, await response.text());
    let rest = "";
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer);
      timer = watch();
      const messages = (rest + text).split("\n\n");
      rest = messages.pop();
      for (const message of messages) {
        const fields = Object.fromEntries(message.split("\n").map((line) => line.split(/: (.*)/s, 2)));
        if (fields.retry) retryMs = Number(fields.retry);
        if (fields.data) yield { kind: fields.event, ...JSON.parse(fields.data) };
        if (fields.id) cursor = fields.id; // handled: the next connection goes on after it
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

class Refused extends Error {
  constructor(status, text) {
    super(`${url} answered ${status}: ${text.slice(0, 400)}`);
    this.isFinal = status < 500 && status !== 429; // a token or a right is missing: trying again does not help
  }
}

async function say(sid, text) {
  const response = await fetch(`${url}/v1/calls/${sid}/say?scope=fleet`, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify({ text }),
  });
  if (!response.ok && ![404, 409].includes(response.status)) {
    console.error(`say: ${response.status} ${(await response.text()).slice(0, 400)}`); // 404, 409: the call is over
  }
}

for (;;) {
  try {
    for await (const event of connection()) {
      if (event.kind === "gap") console.error("events were missed");
      else if (event.kind === "final" && event.text && !event.unvoiced) await say(event.call_sid, `כן ${event.text}`);
    }
  } catch (error) {
    if (error.isFinal) throw error;
    console.error(`${error.message}; connecting again`);
  }
  await new Promise((resolve) => setTimeout(resolve, retryMs * (0.5 + Math.random() / 2)));
}
