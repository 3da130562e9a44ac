"""A NATS server in the process of a test, as strict as the real one and as untidy: it goes, comes back, and is silent.

    async with NatsDouble() as server:
        server.jetstream.add("batkol", "batkol.>")

It reads the protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol) byte by byte, refuses what the
real one refuses and in its words, and closes where that closes. tests/e2e/real/test_nats.py asks the same of a real
nats-server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from support.nats.streams import JetStream, Message, matches

NO_RESPONDERS: Final = b"NATS/1.0 503\r\n\r\n"


@dataclass(slots=True)
class Rules:
    """What a server asks of its clients. `user` is `name:password`, `nkey` the public key of the only user."""

    user: str = ""
    token: str = ""
    nkey: str = ""
    jwt: str = ""
    publish: Sequence[str] = (">",)
    """Patterns of the subjects that a client may publish to."""
    max_payload: int = 1 << 20

    @property
    def closed(self) -> bool:
        return bool(self.user or self.token or self.nkey or self.jwt)

    def admits(self, shown: dict[str, Any], nonce: str) -> bool:
        if self.user:
            return f"{shown.get('user')}:{shown.get('pass')}" == self.user
        if self.token:
            return bool(shown.get("auth_token") == self.token)
        if self.jwt and shown.get("jwt") != self.jwt:
            return False
        if not self.jwt and self.nkey != shown.get("nkey"):
            return False
        return not self.nkey or _is_signed(self.nkey, nonce, shown.get("sig", ""))


def _is_signed(nkey: str, nonce: str, signature: str) -> bool:
    key = Ed25519PublicKey.from_public_bytes(base64.b32decode(nkey)[1:33])
    try:
        key.verify(base64.b64decode(signature), nonce.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(slots=True, eq=False)
class Connection:
    """One client."""

    writer: asyncio.StreamWriter
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(11))
    shown: dict[str, Any] | None = None
    subscriptions: dict[str, str] = field(default_factory=dict)  # pattern by sid

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    def deliver(self, sid: str, message: Message, block: bytes = b"") -> None:
        subject = message.subject.encode()
        if block:
            size = b"%d %d" % (len(block), len(block) + len(message.data))
            self.send(b"HMSG %s %s %s\r\n" % (subject, sid.encode(), size), block, message.data, b"\r\n")
        else:
            self.send(b"MSG %s %s %d\r\n" % (subject, sid.encode(), len(message.data)), message.data, b"\r\n")


class _RefusedError(Exception):
    """The server says why, and closes."""


class NatsDouble:
    """One server, always on the same port."""

    def __init__(self, rules: Rules | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.rules = rules or Rules()
        self.jetstream = JetStream()
        self.published: list[Message] = []
        """Whatever was published outside JetStream and its API."""
        self.connected: list[dict[str, Any]] = []
        """What each client has shown, admitted or not."""
        self.acknowledges = True
        self.reads = True
        """Whether it takes anything off its sockets."""
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()

    @property
    def url(self) -> str:
        return f"{'tls' if self._tls else 'nats'}://127.0.0.1:{self.port}"

    @property
    def clients(self) -> int:
        """Clients that are connected and admitted."""
        return sum(each.shown is not None for each in self._connections)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """Go without a word; streams stay, as on a disk."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for each in tuple(self._connections):
            each.writer.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer)
        self._connections.add(connection)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._talk(reader, connection)
        except _RefusedError as refused:
            connection.send(b"-ERR '%s'\r\n" % str(refused).encode())
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, connection: Connection) -> None:
        info = {"server_id": "N1", "version": "2.15.3", "proto": 1, "headers": True, "jetstream": True,
                "max_payload": self.rules.max_payload, "nonce": connection.nonce,
                "auth_required": self.rules.closed, "tls_required": self._tls is not None}  # fmt: skip
        connection.send(b"INFO ", json.dumps(info).encode(), b" \r\n")
        if self._tls is not None:
            await connection.writer.drain()
            await connection.writer.start_tls(self._tls)
        while True:
            line = await reader.readuntil(b"\r\n")
            while not self.reads:
                await asyncio.sleep(0.01)
            verb, _, rest = line[:-2].decode().partition(" ")
            await self._obey(verb.upper(), rest.split(), reader, connection, rest)
            await connection.writer.drain()

    async def _obey(
        self, verb: str, words: list[str], reader: asyncio.StreamReader, connection: Connection, rest: str
    ) -> None:
        if verb == "CONNECT":
            self._admit(json.loads(rest), connection)
        elif connection.shown is None:
            raise _RefusedError("Authentication Timeout" if self.rules.closed else "Parser Error")
        elif verb == "PING":
            connection.send(b"PONG\r\n")
        elif verb == "SUB":
            connection.subscriptions[words[-1]] = words[0]
        elif verb == "UNSUB":
            connection.subscriptions.pop(words[0], None)
        elif verb in {"PUB", "HPUB"}:
            await self._publish(verb == "HPUB", words, reader, connection)
        elif verb != "PONG":
            raise _RefusedError("Unknown Protocol Operation")

    def _admit(self, shown: dict[str, Any], connection: Connection) -> None:
        self.connected.append(shown)
        if self.rules.closed and not self.rules.admits(shown, connection.nonce):
            raise _RefusedError("Authorization Violation")
        connection.shown = shown

    async def _publish(
        self, has_headers: bool, words: list[str], reader: asyncio.StreamReader, connection: Connection
    ) -> None:
        sizes = 2 if has_headers else 1
        subject, reply = words[0], words[1] if len(words) > sizes + 1 else ""
        head, whole = (int(words[-2]) if has_headers else 0), int(words[-1])
        if whole > self.rules.max_payload:
            raise _RefusedError("Maximum Payload Violation")
        content = await reader.readexactly(whole + 2)
        if content[-2:] != b"\r\n":
            raise _RefusedError("Parser Error")
        if not all(subject.split(".")) or "*" in subject or ">" in subject:
            raise _RefusedError("Invalid Publish Subject")
        if not any(matches(pattern, subject) for pattern in self.rules.publish):
            connection.send(b"-ERR 'Permissions Violation for Publish to \"%s\"'\r\n" % subject.encode())
            return
        self._route(Message(subject, _headers(content[:head]), content[head:-2]), reply, connection, content[:head])

    def _route(self, message: Message, reply: str, connection: Connection, block: bytes) -> None:
        heard = self._hand_on(message, block)
        stream = self.jetstream.of(message.subject)
        answer = self.jetstream.ask(message.subject, message.data)
        if stream is not None:
            answer = stream.store(message)
        elif answer is None:
            self.published.append(message)
        if not reply or not self.acknowledges:
            return
        if answer is not None:
            self._hand_on(Message(reply, {}, json.dumps(answer).encode()))
        elif not heard and connection.shown is not None and connection.shown.get("no_responders"):
            self._hand_on(Message(reply, {}, b""), NO_RESPONDERS)

    def _hand_on(self, message: Message, block: bytes = b"") -> bool:
        heard = False
        for each in tuple(self._connections):
            for sid, pattern in each.subscriptions.items():
                if matches(pattern, message.subject):
                    each.deliver(sid, message, block)
                    heard = True
        return heard


def _headers(block: bytes) -> dict[str, str]:
    lines = block.decode().split("\r\n")
    if block and (lines[0] != "NATS/1.0" or lines[-2:] != ["", ""]):
        raise _RefusedError("Parser Error")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
