"""The choice of who answers and who speaks, by the flags of a call: for each turn, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

import structlog

from batkol.answering.answerer import Answerer
from batkol.calls.registry import CallRegistry
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import PhraseSound, Speakers
from batkol.events.identity import AS_THE_FLAGS_SAY, Chosen
from batkol.flags.context import CallContext
from batkol.flags.flag import FlagAnswer
from batkol.flags.flags import Flags
from batkol.named_specs import DEFAULT
from batkol.settings import Settings
from batkol.voices.voice import Voice

_WARNED: Final = 100
"""Names that do not exist, of which each is warned of once."""

log = structlog.get_logger()

Named = TypeVar("Named")


@dataclass(frozen=True, slots=True)
class Speaking:
    """A voice, and the agent's phrases in it."""

    voice: Voice
    phrase: Callable[[StockPhrase], PhraseSound | None]


class SpeakersByFlag:
    """The speakers of a process. Called with a call's SID; never raises.

    A name that there is not is warned of once, and `default` takes its place. What the person at the phone in the
    console chose for a call goes before the flags; unknown names were refused before.
    """

    def __init__(
        self,
        flags: Flags,
        *,
        answerers: Mapping[str, Answerer],
        voices: Mapping[str, Speaking],
        context_of: Callable[[str], CallContext],
        chosen_of: Callable[[str], Chosen] = lambda _: AS_THE_FLAGS_SAY,
    ) -> None:
        self._flags = flags
        self._answerers = answerers
        self._voices = voices
        self._context_of = context_of
        self._chosen_of = chosen_of
        self._warned: set[tuple[str, str]] = set()
        self._made = cache(self._make)

    def __call__(self, call_sid: str) -> Speakers:
        """Choose for a turn, or an announcement, of a call."""
        context, chosen = self._context_of(call_sid), self._chosen_of(call_sid)
        voice = chosen.voice or self._known("voice", self._flags.voice(context), self._voices)
        if chosen.answerer:  # it is to be heard, also where the agent does not reply
            return self._made(chosen.answerer, voice)
        if not self._flags.replies(context).value:
            return self._made("", voice)
        return self._made(self._known("answerer", self._flags.answerer(context), self._answerers), voice)

    def _make(self, answerer: str, voice: str) -> Speakers:
        speaking = self._voices[voice]
        return Speakers(
            answerer=self._answerers[answerer] if answerer else None,
            voice=speaking.voice,
            answerer_variant=answerer or DEFAULT,
            voice_variant=voice,
            phrase=speaking.phrase,
        )

    def _known(self, flag: str, answer: FlagAnswer[str], names: Mapping[str, Named]) -> str:
        if answer.value in names:
            return answer.value
        if (flag, answer.value) not in self._warned and len(self._warned) < _WARNED:
            self._warned.add((flag, answer.value))
            log.warning(
                f"[CFG] flag names what {flag.upper()}S does not have; the calls get `{DEFAULT}`. Correct the flag's "
                "variant, or add the name and restart",
                flag=flag,
                variant=answer.variant,
                value=answer.value[:40],
                names=sorted(names),
            )
        return DEFAULT


def flag_context(settings: Settings, calls: CallRegistry, call_sid: str) -> CallContext:
    """Return what flags may ask of a call; of one that is over, or not of Twilio's, little is known."""
    if (call := calls.get(call_sid)) is not None:
        return call.flag_context
    return CallContext(
        call_sid=call_sid, agent=settings.voice_agent, language=settings.gcp_stt_language, pod=settings.pod_name
    )


def chosen(calls: CallRegistry, call_sid: str) -> Chosen:
    """Return what the person at the phone in the console chose for a call."""
    call = calls.get(call_sid)
    return AS_THE_FLAGS_SAY if call is None else call.identity.chosen
