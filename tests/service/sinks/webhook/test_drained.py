"""Webhooks out of a real Postgres: a receiver that hangs for one stream, over sockets."""

from __future__ import annotations

import asyncio
import base64
from typing import Final

from batkol.sinks.webhook.sink import WebhookSink
from batkol.store.postgres.address import Address
from support.http.webhook_receiver import Receiver, receiving, status
from support.postgres.records import who
from support.sinks.pods import draining, ids_of, said, write
from support.time.waiting import until

SECRET: Final = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
STREAM: Final = who(0).stream_sid


async def test_a_receiver_that_hangs_for_one_stream_gets_all_others_meanwhile_and_that_one_in_order_later(
    where: Address,
) -> None:
    answers = asyncio.Event()

    async def answer(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
        if receiver.ids[-1].startswith(STREAM):
            await answers.wait()
        return await status(204)(receiver, writer)

    await write(where, [said(index, call) for index in range(2) for call in range(4)])
    async with receiving(SECRET) as receiver:
        receiver.otherwise = answer
        async with draining(where, WebhookSink("crm", receiver.url, [SECRET])) as pod:
            others = {id_ for call in (1, 2, 3) for id_ in ids_of(call, range(2))}
            await until(lambda: pod.statistics[0].delivered == len(others))
            await write(where, [said(2), said(2, 1), said(0, 5)])
            await until(lambda: pod.statistics[0].delivered == len(others) + 2)
            assert [each for each in receiver.ids if each.startswith(STREAM)] == ids_of(0, [0])
            answers.set()
            await until(lambda: pod.statistics[0].delivered == len(others) + 5)
    assert [each for each in receiver.ids if each.startswith(STREAM)] == ids_of(0, range(3))
    assert receiver.violations == []
