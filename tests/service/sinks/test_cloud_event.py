"""Events as CloudEvents: what is in them, and that `data` is as it was."""

from __future__ import annotations

import json

import msgspec

from batkol.sinks.cloud_event import encode, message_id
from support.sinks.envelopes import TEXT, final


def test_an_event_is_a_cloud_event_with_its_data_byte_for_byte() -> None:
    event = final("MZ7", 12)
    content = encode(event)

    made = json.loads(content)
    data = made.pop("data")
    assert made == {
        "specversion": "1.0",
        "id": "MZ7-12",
        "source": "/batkol/reception",
        "type": "dev.batkol.final",
        "subject": "CA7",
        "time": "2026-11-29T14:05:07.250Z",
        "stream": "MZ7",
        "seq": 12,
        "datacontenttype": "application/json",
    }
    assert (data["text"], data["id"]) == (TEXT, "MZ7-12")
    assert content.count(event.data) == 1


def test_an_agent_of_any_name_makes_a_source_that_is_a_uri_reference() -> None:
    sources = [json.loads(encode(final(agent=agent)))["source"] for agent in ("", "a.b", "קבלה/1?")]
    assert sources == ["/batkol/", "/batkol/a.b", "/batkol/%D7%A7%D7%91%D7%9C%D7%94%2F1%3F"]


def test_the_id_of_a_message_may_stand_in_a_header_whatever_a_stream_is_called() -> None:
    """What is signed is divided by dots, and a header has one line."""
    ids = [message_id(final(stream, 3)) for stream in ("MZ1", "a.b", "a\r\nx: y", "אב")]
    assert ids == ["MZ1-3", "a%2Eb-3", "a%0D%0Ax%3A%20y-3", "%D7%90%D7%91-3"]


def test_data_that_is_no_json_is_refused_by_no_one_here_and_read_by_no_one() -> None:
    """The store has what `encode` of the events made; here it is not parsed again, for each event costs."""
    event = msgspec.structs.replace(final(), data=b'{"text":"\\u05d0"}')
    assert b'"data":{"text":"\\u05d0"}' in encode(event)
