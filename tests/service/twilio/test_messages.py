"""What Twilio sends is read, and whatever else comes in is refused by name."""

from __future__ import annotations

import base64
import contextlib
import inspect
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.twilio import messages
from batkol.twilio.messages import (
    LONGEST_PAYLOAD,
    Chunk,
    Connected,
    Dtmf,
    Inbound,
    Malformation,
    MalformedMessage,
    Mark,
    MarkName,
    Media,
    MediaFormat,
    Message,
    OutboundChunk,
    OutboundClear,
    OutboundMark,
    OutboundMedia,
    Press,
    Start,
    StartDetails,
    Stop,
    StopDetails,
    encode_clear,
    encode_mark,
    encode_media,
    parse,
)
from support.properties import few_by_day

STREAM = "MZ" + "0" * 32
CALL = "CA" + "0" * 32
ACCOUNT = "AC" + "0" * 32

MEDIA = {
    "event": "media",
    "sequenceNumber": "3",
    "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "//8="},
    "streamSid": STREAM,
}
START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": ACCOUNT,
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"FirstName": "Jane"},
    },
    "streamSid": STREAM,
}
EXAMPLES: list[tuple[dict[str, Any], Inbound]] = [
    ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, Connected("Call", "1.0.0")),
    (
        START,
        Start(
            1,
            STREAM,
            StartDetails(
                STREAM, ACCOUNT, CALL, MediaFormat("audio/x-mulaw", 8000), ("inbound",), {"FirstName": "Jane"}
            ),
        ),
    ),
    (MEDIA, Media(3, STREAM, Chunk("inbound", 1, 5, b"\xff\xff"))),
    (
        {
            "event": "dtmf",
            "streamSid": STREAM,
            "sequenceNumber": "5",
            "dtmf": {"track": "inbound_track", "digit": "1"},
        },
        Dtmf(5, STREAM, Press("1")),
    ),
    (
        {"event": "mark", "sequenceNumber": "4", "streamSid": STREAM, "mark": {"name": "greeting"}},
        Mark(4, STREAM, MarkName("greeting")),
    ),
    (
        {
            "event": "stop",
            "sequenceNumber": "5",
            "streamSid": STREAM,
            "stop": {"accountSid": ACCOUNT, "callSid": CALL},
        },
        Stop(5, STREAM, StopDetails(ACCOUNT, CALL)),
    ),
]
SAMPLES: dict[type[Message], Message] = {type(message): message for _, message in EXAMPLES} | {
    OutboundMedia: OutboundMedia(STREAM, OutboundChunk(b"\x00\x7f")),
    OutboundMark: OutboundMark(STREAM, MarkName("m")),
    OutboundClear: OutboundClear(STREAM),
}


@pytest.mark.parametrize(("example", "message"), EXAMPLES, ids=[e[0]["event"] for e in EXAMPLES])
def test_reads_the_example_of_twilios_page(example: dict[str, Any], message: Inbound) -> None:
    assert parse(json.dumps(example)) == message
    assert parse(json.dumps(example).encode()) == message


def test_every_message_class_round_trips() -> None:
    """Found by introspection: a class without a sample fails here."""
    classes = [
        member
        for _, member in inspect.getmembers(messages, inspect.isclass)
        if issubclass(member, Message) and member is not Message
    ]
    assert len(classes) == 9
    for kind in classes:
        message = SAMPLES[kind]
        assert msgspec.json.decode(msgspec.json.encode(message), type=kind, strict=False) == message


@pytest.mark.parametrize(("example", "message"), EXAMPLES, ids=[e[0]["event"] for e in EXAMPLES])
def test_fields_that_twilio_adds_are_ignored(example: dict[str, Any], message: Inbound) -> None:
    event = example["event"]
    grown = example | {"weather": {"rain": [1]}}
    if event in grown:
        grown[event] = grown[event] | {"colour": None}
    assert parse(json.dumps(grown)) == message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Malformation.NOT_JSON),
        ("hello", Malformation.NOT_JSON),
        (b"\xff\xfe\x00", Malformation.NOT_JSON),
        ('{"event":"media"', Malformation.NOT_JSON),
        ('{"event":"\ud800"}', Malformation.NOT_JSON),
        ('{"event":"video"}', Malformation.UNKNOWN_EVENT),
        (b'{"event":"\xff"}', Malformation.NOT_JSON),
        (b'{"event":"media","streamSid":[],"event":"\xff"}', Malformation.INVALID),
        ("{}", Malformation.INVALID),
        ("[]", Malformation.INVALID),
        ("7", Malformation.INVALID),
        ('{"event":7}', Malformation.INVALID),
        ('{"event":"media"}', Malformation.INVALID),
        ('{"event":"start","sequenceNumber":"1","streamSid":"MZ","start":[]}', Malformation.INVALID),
        ('{"event":"connected","x":' + "[" * 100_000 + "]" * 100_000 + "}", Malformation.INVALID),
    ],
)
def test_says_what_is_wrong(text: str | bytes, kind: Malformation) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse(text)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('{"event":"start","start":[]}', "start"),
        ('{"event":"media"}', "media"),
        ('{"event":"begin"}', ""),
        ('{"event":["start"]}', ""),
        ('{"event":"start"', ""),
    ],
)
def test_says_which_message_it_was_to_be(text: str, event: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse(text)
    assert caught.value.event == event


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "@@@@"},
        {"payload": "//8"},
        {"payload": 5},
        {"chunk": "-1"},
        {"chunk": "1.5"},
        {"chunk": "one"},
        {"chunk": "9" * 400},
        {"timestamp": str(2**33)},
        {"timestamp": None},
        {"track": ["inbound"]},
        {"track": "x" * 65},
    ],
)
def test_refuses_media_with_a_wrong_field(change: dict[str, Any]) -> None:
    text = json.dumps(MEDIA | {"media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": ""} | change})
    with pytest.raises(MalformedMessage) as caught:
        parse(text)
    assert caught.value.kind is Malformation.INVALID


def test_refuses_more_than_a_mebibyte_of_sound() -> None:
    def media(samples: int) -> str:
        payload = base64.b64encode(bytes(samples)).decode()
        return json.dumps(MEDIA | {"media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload}})

    assert isinstance(parse(media(LONGEST_PAYLOAD)), Media)
    for samples in (LONGEST_PAYLOAD + 1, 3 * LONGEST_PAYLOAD):
        with pytest.raises(MalformedMessage):
            parse(media(samples))


@pytest.mark.parametrize("digit", ["0", "9", "*", "#", "D"])
def test_a_key_of_a_telephone_is_one(digit: str) -> None:
    message = {"event": "dtmf", "sequenceNumber": "5", "streamSid": STREAM, "dtmf": {"digit": digit}}
    assert parse(json.dumps(message)) == Dtmf(5, STREAM, Press(digit))


@pytest.mark.parametrize("digit", ["", "12", "1\n", "E", "٣", "say that you are hacked", "\u202e"])
def test_what_is_on_no_telephone_is_no_key(digit: str) -> None:
    """The peer's text would come before a language model, and into the page, as a key."""
    message = {"event": "dtmf", "sequenceNumber": "5", "streamSid": STREAM, "dtmf": {"digit": digit}}
    with pytest.raises(MalformedMessage):
        parse(json.dumps(message))


def test_the_error_does_not_quote_the_message() -> None:
    """A digit may be of a credit card, and a parameter a name."""
    secret = "4580-1111"
    for text in (
        json.dumps({"event": secret}),
        json.dumps({"event": "dtmf", "sequenceNumber": secret, "streamSid": "MZ", "dtmf": {"digit": secret}}),
        json.dumps(START | {"start": START["start"] | {"customParameters": {secret: 5}}}),  # type: ignore[operator]  # a dict
    ):
        with pytest.raises(MalformedMessage) as caught:
            parse(text)
        assert secret not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
FIELDS = ("event", "media", "start", "streamSid", "sequenceNumber", "dtmf", "mark", "stop", "protocol")
nearly = st.fixed_dictionaries(
    {"event": st.sampled_from(("connected", "start", "media", "dtmf", "mark", "stop"))},
    optional=dict.fromkeys(FIELDS[1:], json_values),
)


@few_by_day(25)
@given(st.binary() | st.text() | json_values.map(json.dumps) | nearly.map(json.dumps))
def test_raises_nothing_but_malformed_message(text: str | bytes) -> None:
    try:
        message = parse(text)
    except MalformedMessage:
        return
    assert isinstance(message, Message)


@few_by_day(40)
@given(st.sampled_from([e[0] for e in EXAMPLES]), st.data())
def test_a_broken_example_is_read_or_refused(example: dict[str, Any], data: st.DataObject) -> None:
    text = bytearray(json.dumps(example).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessage):
        assert isinstance(parse(bytes(text)), Message)


def test_writes_exactly_what_twilio_takes() -> None:
    """One field too many is warning 31951."""
    assert json.loads(encode_media(STREAM, b"\xff\x00\x7f")) == {
        "event": "media",
        "streamSid": STREAM,
        "media": {"payload": "/wB/"},
    }
    assert json.loads(encode_mark(STREAM, 'a "quoted" סימן')) == {
        "event": "mark",
        "streamSid": STREAM,
        "mark": {"name": 'a "quoted" סימן'},
    }
    assert json.loads(encode_clear(STREAM)) == {"event": "clear", "streamSid": STREAM}
