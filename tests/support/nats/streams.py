"""JetStream of the double: streams by subject, ids of messages that it knows, and the errors of the real server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

Headers = Mapping[str, str]

STORE_FAILED: Final = (503, 10077)
TOO_LARGE: Final = (400, 10054, "message size exceeds maximum allowed")
NOT_FOUND: Final = (404, 10059, "stream not found")
OVERLAP: Final = (400, 10065, "subjects overlap with an existing stream")
IN_USE: Final = (400, 10058, "stream name already in use with a different configuration")


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject is one of a pattern's (https://docs.nats.io/nats-concepts/subjects#wildcards)."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        return len(tokens) > len(wanted) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=False))
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=True))


def _collide(one: str, other: str) -> bool:
    """Whether a subject can be one of both patterns'."""
    for first, second in zip_longest(one.split("."), other.split(".")):
        if ">" in (first, second):
            return None not in (first, second)
        if ("*" not in (first, second) and first != second) or None in (first, second):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was published."""

    subject: str
    headers: Headers
    data: bytes

    @property
    def size(self) -> int:
        """Bytes, with the headers, as the server counts them."""
        return len(self.data) + sum(len(f"{name}: {value}\r\n") for name, value in self.headers.items()) + 12


@dataclass(slots=True)
class Stream:
    """One stream. `full` says why it stores nothing more."""

    name: str
    config: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    full: str = ""
    known: dict[str, int] = field(default_factory=dict)

    def takes(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.config["subjects"])

    def store(self, message: Message) -> dict[str, Any]:
        """Return the acknowledgement. An id that is known is stored once."""
        number = message.headers.get("Nats-Msg-Id")
        if number in self.known:
            return {"stream": self.name, "seq": self.known[number], "duplicate": True}
        if 0 <= self.config.get("max_msg_size", -1) < message.size:
            return failure(*TOO_LARGE)
        if self.full:
            return failure(*STORE_FAILED, self.full)
        self.messages.append(message)
        if number:
            self.known[number] = len(self.messages)
        return {"stream": self.name, "seq": len(self.messages)}


class JetStream:
    """All streams."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}

    def add(self, name: str, *subjects: str, **config: Any) -> Stream:
        self.streams[name] = Stream(name, {"name": name, "subjects": list(subjects), **config})
        return self.streams[name]

    def of(self, subject: str) -> Stream | None:
        return next((stream for stream in self.streams.values() if stream.takes(subject)), None)

    def ask(self, subject: str, data: bytes) -> dict[str, Any] | None:
        """Answer a request to its API; None for a subject that is none of it."""
        if subject.startswith("$JS.API.STREAM.INFO."):
            stream = self.streams.get(subject.rpartition(".")[2])
            return failure(*NOT_FOUND) if stream is None else _described(stream)
        if subject.startswith("$JS.API.STREAM.CREATE."):
            return self._create(json.loads(data))
        return None

    def _create(self, config: dict[str, Any]) -> dict[str, Any]:
        if (found := self.streams.get(config["name"])) is not None:
            return _described(found) if found.config == config else failure(*IN_USE)
        for stream in self.streams.values():
            if any(_collide(old, new) for old in stream.config["subjects"] for new in config["subjects"]):
                return failure(*OVERLAP)
        self.streams[config["name"]] = Stream(config["name"], config)
        return _described(self.streams[config["name"]])


def failure(code: int, number: int, description: str) -> dict[str, Any]:
    return {"error": {"code": code, "err_code": number, "description": description}}


def _described(stream: Stream) -> dict[str, Any]:
    size = len(stream.messages)
    state = {"messages": size, "bytes": 0, "first_seq": 1, "last_seq": size, "consumer_count": 0}
    return {"type": "io.nats.jetstream.api.v1.stream_info_response", "config": stream.config,
            "created": "2026-11-29T14:00:00Z", "state": state}  # fmt: skip
