"""Facts for the console's page before it shows anything: the rights of its token, and the agent of its phone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Path, Response

from batkol import __version__
from batkol.rights import Right
from batkol.voices.marked.sentences import SENTENCES, spoken
from batkol.web.access import Access, CurrentReader, guard
from batkol.web.described import Responses, answer, problem

WAV: Final = "audio/wav"
_SOUND: Final[Responses] = {200: {"content": {WAV: {"schema": {"type": "string", "format": "binary"}}}}}
_DAY: Final = {"Cache-Control": "private, max-age=86400"}


class PhoneSentence(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence that the built-in voice can say into a call."""

    text: str
    url: str  # of a WAV file, which needs the token as well


class OtherConsole(msgspec.Struct, frozen=True, kw_only=True):
    """The console of another agent, which its own token opens."""

    agent: str
    url: str


class ConsoleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `GET /v1/console`."""

    name: str  # of the token; empty where the service asks for none
    may: list[str]  # the rights of the token
    agent: str  # that answers the phone; empty for a service without a name of its own
    pod: str
    version: str
    language: str
    replies: bool  # whether the agent answers by itself, unless a flag says otherwise
    trace_url: str  # with `{trace_id}` in it; empty where the service knows no place that shows traces
    builtin: bool  # a double hears in Google's place, which knows the built-in voice alone
    sentences: list[PhoneSentence]  # of that voice; none if `builtin` is false
    others: list[OtherConsole]  # of `CONSOLE_AGENTS`
    answerers: list[str]  # names that the phone's `start` may have; as the next three, for the right `line` alone
    voices: list[str]
    transfers: list[str]  # labels to which a call can be transferred now
    why_no_transfer: str  # a sentence; empty if calls can be transferred


class ConsoleService(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the facts that is the same for every token."""

    agent: str = ""
    pod: str = ""
    language: str = ""
    replies: bool = False
    trace_url: str = ""
    builtin: bool = False
    others: list[OtherConsole] = []


class ConsoleLine(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the facts that a token with the right `line` sees: what its calls, and calls at all, can do."""

    answerers: list[str] = []
    voices: list[str] = []
    transfers: list[str] = []
    why_no_transfer: str = ""


_NOTHING: Final = ConsoleLine()


def routes(service: ConsoleService, access: Access, line: Callable[[], ConsoleLine] = ConsoleLine) -> APIRouter:
    """Return the routes. Any token may ask them, for they show nothing of a call. `line` returns what holds now."""
    router = APIRouter(prefix="/v1/console", dependencies=[Depends(guard(access))], tags=["console"])
    sentences = [
        PhoneSentence(text=text, url=f"/v1/console/sentences/{number}.wav") for number, text in enumerate(SENTENCES)
    ]

    @router.get("", responses=answer(ConsoleFacts))
    async def read_facts(reader: CurrentReader) -> Response:
        """Say what the token may, and whom the phone calls."""
        facts = ConsoleFacts(
            name=reader.name,
            may=sorted(reader.may),
            version=__version__,
            sentences=sentences if service.builtin else [],
            **msgspec.structs.asdict(service),
            **msgspec.structs.asdict(line() if Right.LINE in reader.may else _NOTHING),
        )
        return Response(msgspec.json.encode(facts), media_type="application/json")

    @router.get(
        "/sentences/{number}.wav",
        response_class=Response,
        responses={**_SOUND, **problem(404, "There is no such sentence.")},
    )
    async def read_sentence(number: Annotated[int, Path(ge=0, le=999)]) -> Response:
        """Get a sentence of the built-in voice, for a service that a double hears for."""
        if not service.builtin or number >= len(SENTENCES):
            raise HTTPException(404, "There is no such sentence. `GET /v1/console` has those that there are.")
        return Response(await asyncio.to_thread(spoken, number), media_type=WAV, headers=_DAY)

    return router
