"""The short way in must give what the long way gives, whatever comes and however it is cut."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect

from batkol.web.protocol import EXTENSION, MediaProtocol
from support.http.media_listener import LARGEST, Hall, Listener, call, serving
from support.http.raw_websocket import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    close,
    connected,
    frame,
    handshake,
    text,
)
from support.properties import examples
from support.time.waiting import until

# -- whole frames, however they are cut --------------------------------------------------------------------------


async def test_the_websockets_client_is_understood_and_answered() -> None:
    listener = Listener()
    async with serving(listener) as port, connect(f"ws://127.0.0.1:{port}/", compression=None) as socket:
        for number in range(100):
            await socket.send(f"message {number}")
        await until(lambda: len(listener.texts) == 100)
        await listener.send({"type": "websocket.send", "text": "an answer"})
        assert await socket.recv() == "an answer"

    assert listener.said == [f"message {number}" for number in range(100)]
    assert listener.codes == [1000]


async def test_a_frame_cut_at_any_byte_is_one_message() -> None:
    listener = Listener()
    message = text("שלום " * 30)  # with a 16-bit length
    async with call(listener) as raw:
        for cut in range(1, len(message)):
            await raw.send(message[:cut], message[cut:])
        await until(lambda: len(listener.texts) == len(message) - 1)

    assert set(listener.said) == {"שלום " * 30}


async def test_frames_that_come_byte_by_byte_are_whole_messages() -> None:
    listener = Listener()
    async with call(listener) as raw:
        stream = b"".join(text(f"m{number}" * 40) for number in range(3))
        await raw.send(*(bytes([byte]) for byte in stream))
        await until(lambda: len(listener.texts) == 3)

    assert listener.said == [f"m{number}" * 40 for number in range(3)]


async def test_several_frames_in_one_segment_are_several_messages() -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(b"".join(text(str(number)) for number in range(500)))
        await until(lambda: len(listener.texts) == 500)

    assert listener.said == [str(number) for number in range(500)]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
async def test_every_form_of_length_is_read(length: int) -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(text("before"), text("x" * length), text("after"))
        await until(lambda: len(listener.texts) == 3)

    assert [len(message) for message in listener.texts] == [6, length, 5]


async def test_a_frame_right_behind_the_handshake_is_not_lost() -> None:
    """Before our answer a client should wait; one that does not is heard, as by uvicorn."""
    listener = Listener()
    async with serving(listener) as port, connected(port, shake=False) as raw:
        await raw.send(handshake())
        await raw.send(text("early"), text("bird"))
        await raw.upgraded()
        await raw.send(text("later"))
        await until(lambda: len(listener.texts) == 3)

    assert listener.said == ["early", "bird", "later"]


async def test_a_frame_in_one_packet_with_the_handshake_does_what_it_does_with_uvicorn() -> None:
    heard = []
    for protocol in (WebSocketsSansIOProtocol, MediaProtocol):
        listener = Listener()
        async with serving(listener, protocol) as port, connected(port, shake=False) as raw:
            await raw.send(handshake() + text("too early"))
            await raw.upgraded()
            await raw.send(text("one"), text("two")[:3], text("two")[3:])
            await raw.send(close())
            await raw.closed()
        heard.append(listener.said)

    assert heard[0] == heard[1]
    assert heard[1][-2:] == ["one", "two"]


async def test_messages_from_before_the_short_way_keep_their_order() -> None:
    listener = Listener(before=2, pause=True)
    listener.reading.clear()  # a task of its own reads the long way, in its own time
    async with call(listener) as raw:
        await raw.send(b"".join(text(str(number)) for number in range(50)))
        await until(lambda: len(listener.texts) == 2)
        await raw.send(text("50"))
        listener.go_on.set()
        await raw.send(*(text(str(number)) for number in range(51, 60)))
        await until(lambda: len(listener.texts) == 60)
        listener.reading.set()

    assert listener.said == [str(number) for number in range(60)]


async def test_reading_goes_on_after_the_short_way_is_taken() -> None:
    """uvicorn stops reading while a message waits; the sink takes them all, so nothing may stay paused."""
    listener = Listener(pause=True)
    async with call(listener) as raw:
        await raw.send(text("one"))
        await raw.send(text("two"))
        listener.go_on.set()
        await until(lambda: len(listener.texts) == 2)
        await raw.send(text("three"))
        await until(lambda: len(listener.texts) == 3)

    assert listener.said == ["one", "two", "three"]


# -- fragments, control frames, binary ---------------------------------------------------------------------------


async def test_a_fragmented_message_is_one_message() -> None:
    listener = Listener()
    async with call(listener) as raw:
        pieces = [frame(TEXT, b"a" * 10, fin=False), frame(CONT, b"b" * 300, fin=False), frame(CONT, b"c")]
        await raw.send(text("before"), *pieces, text("after"))
        await raw.send(b"".join([text("before"), *pieces, text("after")]))
        await until(lambda: len(listener.texts) == 6)

    assert listener.said == ["before", "a" * 10 + "b" * 300 + "c", "after"] * 2


async def test_a_message_with_empty_fragments_is_still_one() -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(frame(TEXT, b"", fin=False), frame(CONT, b"", fin=False), frame(CONT, b"x"), text("after"))
        await until(lambda: len(listener.texts) == 2)

    assert listener.said == ["x", "after"]


async def test_control_frames_between_messages_and_fragments_are_answered() -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(
            text("one")
            + frame(PING, b"p1")
            + text("two")
            + frame(TEXT, b"th", fin=False)
            + frame(PING, b"p2")
            + frame(PONG, b"unasked")
            + frame(CONT, b"ree")
            + text("four")
        )
        pongs = [await raw.frame(), await raw.frame()]
        await until(lambda: len(listener.texts) == 4)

    assert [(pong.opcode, pong.payload) for pong in pongs if pong] == [(PONG, b"p1"), (PONG, b"p2")]
    assert listener.said == ["one", "two", "three", "four"]


async def test_a_ping_cut_anywhere_is_answered() -> None:
    listener = Listener()
    ping = frame(PING, b"hello")
    async with call(listener) as raw:
        for cut in range(1, len(ping)):
            await raw.send(text("x") + ping[:cut], ping[cut:] + text("y"))
            pong = await raw.frame()
            assert pong is not None
            assert pong.payload == b"hello"
        await until(lambda: len(listener.texts) == 2 * (len(ping) - 1))


async def test_binary_goes_the_long_way() -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(
            text("a"), frame(BINARY, b"\x00\xff"), text("b"), frame(BINARY, b"", fin=False), frame(CONT, b"x")
        )
        await until(lambda: len(listener.binaries) == 2 and len(listener.texts) == 2)

    assert (listener.said, listener.binaries) == (["a", "b"], [b"\x00\xff", b"x"])


# -- what is refused ---------------------------------------------------------------------------------------------

REFUSED = {
    "an unmasked frame": (frame(TEXT, b"x", masked=False), 1002),
    "an unmasked long frame": (frame(TEXT, b"x" * 300, masked=False), 1002),
    "an unmasked longer frame": (frame(TEXT, b"x" * 70_000, masked=False), 1002),
    "a reserved bit": (frame(TEXT, b"x", reserved=0x40), 1002),
    "a reserved opcode": (frame(0x3, b"x"), 1002),
    "a fragmented control frame": (frame(PING, b"x", fin=False), 1002),
    "a long control frame": (frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": (frame(CONT, b"x"), 1002),
    "a message inside a fragmented one": (frame(TEXT, b"x", fin=False) + text("y"), 1002),
    "more than a message may have": (frame(BINARY, b"x" * (LARGEST + 1)), 1009),
    "more text than a message may have": (text("x" * (LARGEST + 1)), 1009),
    "more in its fragments than a message may have": (
        frame(TEXT, b"x" * LARGEST, fin=False) + frame(CONT, b"x"),
        1009,
    ),
    "a close frame of one byte": (frame(CLOSE, b"x"), 1002),
    "a close code that is none": (close(999), 1002),
}


@pytest.mark.parametrize(("sent", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_breaks_the_protocol_closes_it(sent: bytes, code: int) -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(text("before") + sent + text("after"))
        assert await raw.closed() == code
        await until(lambda: listener.codes)

    assert listener.said == ["before"]
    assert listener.codes == [code]


async def test_text_that_is_not_utf8_is_the_sinks_to_refuse() -> None:
    """A bad message is counted and survived: the parser behind the sink says so."""
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(frame(TEXT, b"\xff\xfe"), text("after"), frame(TEXT, b"\xff", fin=False), frame(CONT, b"\xfe"))
        await until(lambda: len(listener.texts) == 3)

    assert listener.texts == [b"\xff\xfe", b"after", b"\xff\xfe"]


async def test_before_the_short_way_text_that_is_not_utf8_closes_the_socket() -> None:
    listener = Listener(before=1)
    async with call(listener) as raw:
        await raw.send(frame(TEXT, b"\xff\xfe"))
        assert await raw.closed() == 1007
        await until(lambda: listener.codes)

    assert listener.codes == [1007]


# -- the end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "code"), [(close(1000), 1000), (close(None), 1005), (close(4001, "x"), 4001)])
async def test_the_peers_close_code_is_told(sent: bytes, code: int) -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(text("last") + sent)
        await raw.closed()
        await until(lambda: listener.codes)

    assert (listener.codes, listener.said) == ([code], ["last"])


@pytest.mark.parametrize("how", ["abort", "finish"])
async def test_a_connection_that_ends_without_a_close_frame_is_dropped(how: str) -> None:
    """uvicorn says 1005 for it, which is also what a close frame without a code is."""
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(text("last"))
        await until(lambda: listener.texts)
        getattr(raw, how)()
        await until(lambda: listener.codes)

    assert (listener.codes, listener.said) == ([1006], ["last"])


async def test_what_comes_behind_a_close_frame_is_not_heard() -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(text("one") + close() + text("two") + text("three"))
        await until(lambda: listener.codes)
        assert await raw.closed() == 1000
        assert await raw.frame() is None  # the connection is closed: nothing more can come of it

    assert (listener.codes, listener.said) == ([1000], ["one"])


async def test_what_comes_after_our_close_frame_is_not_heard() -> None:
    listener = Listener()
    async with call(listener) as raw:
        await raw.send(text("one"))
        await until(lambda: listener.texts)
        await listener.send({"type": "websocket.close", "code": 1001})
        assert await raw.closed() == 1001
        await raw.send(text("two"), frame(TEXT, b"th", fin=False), frame(CONT, b"ree"))
        await raw.send(close(1001))
        assert await raw.frame() is None

    assert listener.said == ["one"]


async def test_a_sink_that_raises_ends_its_own_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    hall = Hall()

    async def bad(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        scope["extensions"][EXTENSION](lambda text: {}[text], lambda: 1)
        ended.append((await receive())["code"])

    ended: list[int] = []
    async with serving(hall) as port:
        hall.listener = bad
        async with connected(port) as raw:
            hall.listener = good = Listener()
            async with connected(port) as other:
                await raw.send(text("x"), text("y"))
                await until(lambda: ended)
                await other.send(text("still here"))
                await until(lambda: good.texts)

    assert (ended, good.said) == ([1006], ["still here"])
    assert "KeyError" in caplog.text


# -- the same as the long way ------------------------------------------------------------------------------------

ENDINGS = {
    "closed": close(1000),
    "closed without a code": close(None),
    "closed with a code of its own": close(4000),
    "closed and going on": close() + text("behind"),
    "dropped": b"",
    "dropped in mid frame": text("half")[:-1],
    "broken": frame(TEXT, b"x", masked=False),
}


@dataclass(frozen=True)
class Message:
    """One message in so many pieces, with pings (and their length) between them."""

    opcode: int
    length: int
    pieces: int
    pings: tuple[int, ...]

    def frames(self) -> bytes:
        payload = ("שלום " * (self.length // 9 + 1)).encode()[: self.length]
        payload = payload.decode(errors="ignore").encode()
        size = len(payload) // self.pieces + 1
        pings = b"".join(frame(PING, b"p" * length) for length in self.pings)
        sent = []
        for number in range(self.pieces):
            part = payload[number * size : (number + 1) * size]
            sent.append(frame(CONT if number else self.opcode, part, fin=number == self.pieces - 1))
        return pings.join(sent) if self.pieces > 1 else pings + sent[0]


MESSAGES = st.builds(
    Message,
    st.sampled_from([TEXT, TEXT, BINARY]),
    st.integers(0, 300) | st.sampled_from([125, 126, 127, 65_535, 65_536, 66_000]),
    st.integers(1, 4),
    st.lists(st.integers(0, 125), max_size=2).map(tuple),
)


@dataclass(frozen=True)
class Conversation:
    """All that is sent, where it is cut, and how many messages are read before the short way is taken."""

    messages: list[Message]
    ending: str
    cuts: list[int]
    before: int
    wanted: int

    def stream(self) -> bytes:
        return b"".join([*(message.frames() for message in self.messages), ENDINGS[self.ending]])


CONVERSATIONS = st.builds(
    Conversation,
    st.lists(MESSAGES, min_size=1, max_size=8),
    st.sampled_from(list(ENDINGS)),
    st.lists(st.integers(0, 3000), max_size=12),
    st.integers(0, 2),
    st.integers(1, 6),
)


async def _heard(hall: Hall, port: int, conversation: Conversation, before: int) -> Listener:
    listener = hall.listener = Listener(before=before, wanted=conversation.wanted)
    async with connected(port) as raw, asyncio.TaskGroup() as tasks:
        pulling = tasks.create_task(_pull(listener))
        await raw.send_cut(conversation.stream(), conversation.cuts)
        if conversation.ending.startswith("dropped"):
            await until(lambda: len(listener.texts) + len(listener.binaries) == len(conversation.messages))
            raw.finish()
        await until(lambda: listener.codes)
        pulling.cancel()
    return listener


async def _pull(listener: Listener) -> None:
    while True:
        await asyncio.sleep(0.002)
        if listener.inlet is not None:
            listener.inlet.pull()


@pytest.mark.day_and_night
def test_any_frames_cut_anywhere_give_the_same_messages_as_uvicorns_protocol() -> None:
    hall = Hall()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        ours = runner.run(stack.enter_async_context(serving(hall)))
        theirs = runner.run(stack.enter_async_context(serving(hall, WebSocketsSansIOProtocol)))

        @settings(max_examples=examples(by_day=25), deadline=None, suppress_health_check=list(HealthCheck))
        @given(CONVERSATIONS)
        def same(conversation: Conversation) -> None:
            short = runner.run(_heard(hall, ours, conversation, conversation.before))
            long = runner.run(_heard(hall, theirs, conversation, 0))
            if (
                conversation.ending == "broken"
            ):  # uvicorn loses what came in one segment with a frame that breaks the protocol
                assert short.texts[: len(long.texts)] == long.texts
                assert short.binaries[: len(long.binaries)] == long.binaries
            else:
                assert (short.texts, short.binaries) == (long.texts, long.binaries)
            assert short.codes[0] == long.codes[0] or (short.codes[0], long.codes[0]) == (1006, 1005)

        try:
            same()
        finally:
            runner.run(stack.aclose())


async def test_many_connections_at_once_do_not_share_anything() -> None:
    listeners: list[Listener] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        listeners.append(Listener())
        await listeners[-1](scope, receive, send)

    async with serving(app) as port, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connected(port)) for _ in range(20)]
        halves = [text(f"call {number} " * 20) for number in range(20)]
        for socket, message in zip(sockets, halves, strict=True):
            await socket.send(message[:50])
        for socket, message in zip(sockets, halves, strict=True):
            await socket.send(message[50:])
        await until(lambda: all(listener.texts for listener in listeners))

    assert sorted(listener.said[0] for listener in listeners) == sorted(f"call {n} " * 20 for n in range(20))
