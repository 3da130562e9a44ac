"""A follower of calls as the documentation has it: snapshots, the event feed from their cursor, and back after a fault.

What it knows of a call it has from a snapshot and from the events behind it: an event that the snapshot shows already
is known by its `seq`. It keeps a protocol of what it was given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from support.http.event_source import Dispatched, EventSource
from support.http.in_memory import Connection

Known = dict[str, Any]
"""What is known of one stream."""


def nothing() -> Known:
    return {"utterances": {}, "replies": {}}


def apply(known: Known, event: dict[str, Any]) -> None:
    """Take in one event."""
    kind = event["type"]
    if kind.startswith("reply."):
        if event["reply_id"]:
            _apply_reply(known["replies"].setdefault(event["reply_id"], _reply(event["turn"])), event)
    elif "index" in event:
        _apply_utterance(known["utterances"].setdefault(event["index"], _utterance()), event)


def _utterance() -> Known:
    return dict.fromkeys(("end_ms", "tentative", "revised"), None) | {"text": "", "partials": 0, "final": False}


def _apply_utterance(said: Known, event: dict[str, Any]) -> None:
    match event["type"]:
        case "partial":
            said |= {"text": event["text"], "partials": event["number"]}
        case "tentative":
            said["tentative"] = {"number": event["number"], "text": event["text"]}
        case "withdrawn":
            said["tentative"] = None
        case "utterance.ended":
            said["end_ms"] = event["end_ms"]
        case "final":
            said |= {"text": event["text"], "final": True, "tentative": None, "end_ms": event["end_ms"]}
            said["partials"] = event["partials"]
        case "revised":
            said["revised"] = event["text"]


def _reply(turn: int) -> Known:
    return {"turn": turn, "sentences": {}, "heard": None, "intended": None, "interrupted": False, "ended": False}


def _apply_reply(reply: Known, event: dict[str, Any]) -> None:
    match event["type"]:
        case "reply.sentence":
            reply["sentences"][event["index"]] = event["text"]
        case "reply.interrupted":
            reply |= {"heard": event["heard"], "interrupted": True}
        case "reply.resumed":
            reply |= {"heard": None, "interrupted": False}
        case "reply.ended":
            reply |= {name: event[name] for name in ("heard", "intended", "interrupted")} | {"ended": True}


def from_snapshot(shown: dict[str, Any]) -> Known:
    """Return what a snapshot says of a stream."""
    utterances, replies = {}, {}
    for said in shown["utterances"]:
        utterances[said["index"]] = {name: said[name] for name in _utterance()}
    for reply in shown["replies"]:
        replies[reply["reply_id"]] = {name: reply[name] for name in _reply(0)}
        replies[reply["reply_id"]]["sentences"] = dict(enumerate(reply["sentences"]))
    return {"utterances": utterances, "replies": replies}


@dataclass
class FeedReader:
    """One reader over all its connections. One that `looks` keeps what it knows of the calls."""

    app: ASGIApp
    path: str = "/v1/events"
    looks: bool = True
    known: dict[str, Known] = field(default_factory=dict)  # by stream SID
    seqs: dict[str, int] = field(default_factory=dict)  # that the snapshot of the stream shows
    unlooked: dict[str, str] = field(default_factory=dict)  # stream SID -> call SID: of which no details are here
    held: list[dict[str, Any]] = field(default_factory=list)  # events of those
    events: list[Dispatched] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)  # ids of events
    gaps: list[tuple[int, Dispatched]] = field(default_factory=list)  # with the number of events before
    cuts: int = 0  # of a connection, within an event
    joined: int = 0  # events that a snapshot showed already
    first_cursor: str = ""
    connection: Connection | None = None
    source: EventSource = field(default_factory=EventSource)

    async def _get(self, path: str) -> tuple[int | None, dict[str, Any]]:
        connection = Connection(self.app, path)
        body = await connection.whole()
        return connection.status, json.loads(body)

    async def list_calls(self) -> None:
        """Read the list of calls: others than these are over."""
        _, snapshot = await self._get("/v1/calls")
        if not self.first_cursor:
            self.first_cursor = self.source.last_event_id = snapshot["cursor"]
        self.unlooked = {call["stream_sid"]: call["call_sid"] for call in snapshot["calls"]}
        self.known, self.held = {}, []

    async def look(self) -> str | None:
        """Read the details of a call that was listed. Returns the SID of its stream, if the stream is not over."""
        if not self.unlooked:
            return None
        stream_sid, call_sid = next(iter(self.unlooked.items()))
        del self.unlooked[stream_sid]
        status, shown = await self._get(f"/v1/calls/{call_sid}")
        streams = [shown, *shown["earlier_streams"]] if status == 200 else []
        mine = next((each for each in streams if each["stream_sid"] == stream_sid), None)
        if mine is not None:
            self.known[stream_sid], self.seqs[stream_sid] = from_snapshot(mine), mine["seq"]
        held = [event for event in self.held if event["stream_sid"] == stream_sid]
        self.held = [event for event in self.held if event["stream_sid"] != stream_sid]
        for event in held:
            self._take(event)
        return stream_sid if mine is not None else None

    def connect(self, turns_a_write: int = 1) -> None:
        if self.connection is None:
            self.source.reconnected()
            headers = {"Last-Event-ID": self.source.last_event_id}
            self.connection = Connection(self.app, self.path, headers, turns_a_write=turns_a_write)

    async def drop(self) -> None:
        if self.connection is not None:
            connection, self.connection = self.connection, None
            self.cuts += self.source.is_within_event
            await connection.drop()

    async def read(self, most: int) -> None:
        """Read so many bytes, and do what they ask for."""
        if self.connection is None:
            return
        piece = self.connection.read(most)
        if self.connection.status not in (None, 200):
            assert not self.looks, "the events of all calls are always there"
            piece = b""
        is_over = self.connection.is_over and not self.connection.unread
        for event in self.source.feed(piece):
            if event.type == "gap":
                self.gaps.append((len(self.events), event))
                if self.looks:
                    await self.list_calls()
                continue
            self.events.append(event)
            if event.json["stream_sid"] in self.unlooked:
                self.held.append(event.json)
            elif self.looks:
                self._take(event.json)
        if is_over:
            await self.drop()

    def _take(self, event: dict[str, Any]) -> None:
        stream_sid = event["stream_sid"]
        if event["seq"] <= self.seqs.get(stream_sid, 0):
            self.joined += 1
            return
        self.applied.append(event["id"])
        if event["type"] == "call.ended":
            self.known.pop(stream_sid, None)
        else:
            apply(self.known.setdefault(stream_sid, nothing()), event)
