"""A consumer of the events on NATS: it prints each once, and goes on where it stopped. Needs `nats-py`."""

import asyncio
import json
import os

import nats


async def main() -> None:
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    events = await client.jetstream().pull_subscribe("batkol.>", durable="example")  # its place is kept by this name
    print("consuming", flush=True)  # noqa: T201
    while True:
        try:
            for message in await events.fetch(100, timeout=5):
                event = json.loads(message.data)
                print(event["type"], event["stream"], event["seq"], event["data"].get("text", ""), flush=True)  # noqa: T201
                await message.ack()  # after the work is done: an event that is not acknowledged comes again
        except nats.errors.TimeoutError:
            pass  # nothing new


asyncio.run(main())
