"""The voice behind a URL: any server with OpenAI's `POST /v1/audio/speech` and `response_format=pcm`.

Each piece is one request. The next piece's request begins while the one before still sounds, so that the gap between
two sentences is not a server's first-byte time; no more than two are under way in a reply.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import httpx

from batkol.answers import PLAIN, AnswerError, exchange, no_cookies
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.errors import OnOutcome, unwatched
from batkol.http_client.poster import Poster
from batkol.http_client.transport import HttpTransport, has_proxy
from batkol.urls import masked, without_login
from batkol.voices.limits import VoiceLimits
from batkol.voices.openai_request import refusal, request_speech, unreachable
from batkol.voices.voice import VoiceError, VoiceSound

UNDER_WAY: Final = 2
"""Pieces of a reply that were asked for and did not sound to their end."""
LONGEST_TEXT: Final = 4096
"""Characters of a piece, OpenAI's limit."""

_CONNECTIONS: Final = 256
_LARGEST_LIST: Final = 4 << 20  # bytes of a list of models, when warming up
_KEPT_IDLE: Final = 32
_IDLE_S: Final = 55.0  # a connection that is still open saves the next reply TCP's and TLS's round trips
_SPOKEN: Final = re.compile(r"\w")


class OpenAIVoice:
    """`url` is the server's base with `/v1`; `voice` the name that the server knows; `options` go into each request.

    A user and password in the URL go into the Authorization header, in the place of `api_key`. No error quotes a text,
    a password or the key.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        voice: str,
        api_key: str = "",
        name: str = "openai",
        limits: VoiceLimits | None = None,
        options: dict[str, str | float] | None = None,
        on_outcome: OnOutcome = unwatched,
    ) -> None:
        self._name = name
        self._on_outcome = on_outcome
        self._limits = limits or VoiceLimits()
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        base, login = without_login(url)
        at = httpx.URL(base)
        self._who = f"the voice {name} ({masked(base)})"
        # With a proxy in between, httpx's own transport asks.
        transport = None if has_proxy(at) else HttpTransport(at, most=_CONNECTIONS, kept_s=_IDLE_S)
        self._client = httpx.AsyncClient(
            base_url=at,
            transport=transport,
            auth=login,
            headers=headers,
            cookies=no_cookies(),
            timeout=httpx.Timeout(self._limits.whole_s, connect=self._limits.connect_s, pool=self._limits.connect_s),
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_KEPT_IDLE, keepalive_expiry=_IDLE_S
            ),
        )
        self._poster = Poster(self._client, "/audio/speech", headers=PLAIN, transport=transport, login=login)
        self._asked = {**(options or {}), "model": model, "voice": voice, "response_format": "pcm"}

    @property
    def name(self) -> str:
        """See `Voice`."""
        return self._name

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`. It knows no word ends. A piece without a word is an empty sound, and not asked for."""
        reply = _Reply(self._poster, self._asked, self._limits, self._who)
        reading = asyncio.create_task(reply.read(pieces), name="voice.read")
        try:
            number = 0
            while (request := await reply.next()) is not None:
                while (sound := await request.get()) is not None:
                    self._on_outcome(None)
                    yield VoiceSound(sound, number)
                yield VoiceSound(b"", number, last=True)
                reply.sounded(request)
                number += 1
        except VoiceError as error:
            self._on_outcome(error)
            raise
        finally:
            await _end([reading, *reply.requests])

    async def warm_up(self) -> None:
        """See `ConnectedVoice`. Asks for the list of models: a server without one is there as well."""
        try:
            await self._ask_models()
        except VoiceError as error:
            self._on_outcome(error)
            raise
        self._on_outcome(None)

    async def _ask_models(self) -> None:
        try:
            answer = await exchange(self._client, "GET", "models", within_s=self._limits.first_s, largest=_LARGEST_LIST)
        except AnswerError:
            return  # it speaks HTTP; what it lists is not needed
        except (httpx.TransportError, TimeoutError) as error:
            raise unreachable(self._who) from error
        if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise refusal(answer.status)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Request:
    """The sound of one piece: what came, and what ended it. It holds no more than `VoiceLimits.sound_s`."""

    def __init__(self, text: str, before: _Request | None) -> None:
        self.text = text
        self._before = before
        self._samples = 0
        self._began_at = math.inf
        self._clock = asyncio.get_running_loop().time
        self.silent = not _SPOKEN.search(text)
        """Whether there is nothing to ask for."""
        self.came: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def add(self, sound: bytes) -> None:
        """See `SoundSink`."""
        if self._samples == 0:
            self._began_at = self._clock()
        self._samples += len(sound)
        self.came.put_nowait(sound)

    @property
    def ahead_s(self) -> float:
        """See `SoundSink`."""
        return max(0.0, self.ends_at - self._clock())

    @property
    def ends_at(self) -> float:
        """Time at which its sound has been played, as far as it is there; minus infinity without any."""
        after = -math.inf if self._before is None else self._before.ends_at
        return after if not self._samples else max(after, self._began_at) + self._samples / SAMPLE_RATE

    async def get(self) -> bytes | None:
        """Return the next sound, None after the last one. Raises the error that ended it."""
        sound = await self.came.get()
        if isinstance(sound, Exception):
            raise sound
        return sound


class _Reply:
    """The requests of one reply, in order."""

    def __init__(self, poster: Poster, asked: dict[str, Any], limits: VoiceLimits, who: str) -> None:
        self._free = asyncio.Semaphore(UNDER_WAY)
        self.requests: set[asyncio.Task[None]] = set()
        self._order: asyncio.Queue[_Request | BaseException | None] = asyncio.Queue()
        self._poster, self._asked, self._limits, self._who = poster, asked, limits, who

    async def next(self) -> _Request | None:
        """Return the next piece's request, None after the last one. Raises what the iterator of pieces raised."""
        request = await self._order.get()
        if isinstance(request, BaseException):
            raise request
        return request

    def sounded(self, request: _Request) -> None:
        """The piece was spoken to its end: there is room for another one."""
        if not request.silent:
            self._free.release()

    async def read(self, pieces: AsyncIterator[str]) -> None:
        """Ask for each piece, as soon as there is room."""
        try:
            request: _Request | None = None
            async for text in pieces:
                request = _Request(text, request)
                if not request.silent:
                    await self._free.acquire()
                task = asyncio.create_task(self._speak(request), name="voice.request")
                self.requests.add(task)
                task.add_done_callback(self.requests.discard)
                self._order.put_nowait(request)
        except BaseException as error:
            self._order.put_nowait(error)  # raised where the pieces were handed in
            if not isinstance(error, Exception):
                raise
        else:
            self._order.put_nowait(None)

    async def _speak(self, request: _Request) -> None:
        try:
            if len(request.text) > LONGEST_TEXT:
                message = f"a piece has more than {LONGEST_TEXT} characters"
                raise VoiceError(message, reason="too_long", retryable=False)  # noqa: TRY301 -- the one way out of here
            if not request.silent:
                asked = {**self._asked, "input": request.text}
                await request_speech(self._poster, asked, self._limits, request, self._who)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is raised where the sound is awaited
            request.came.put_nowait(error)
        else:
            request.came.put_nowait(None)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel the tasks, and wait until their connections are closed."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
