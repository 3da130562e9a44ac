"""What a row of the fault matrix is made of: who calls and says what, what goes wrong and when, what must be seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final

from batkol.app.patience import PRODUCTION, Patience
from batkol.simulators.google.faults import Fault
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.soniox.faults import SonioxFault
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.simulators.twilio.plan import CallEnding
from batkol.voices.marked.voice import PAUSE_MS, SpokenAudio, script
from reliability.score import Said

if TYPE_CHECKING:
    from reliability.ground import Ground

FIRST: Final = ("שלום", "תודה", "בבקשה", "היום", "בוקר", "כן", "לא", "אני")
SECOND: Final = ("רוצה", "פגישה", "חשבון", "טלפון", "כתובת", "מתי", "איפה", "מה")
THIRD: Final = ("כמה", "מספר", "למה", "מי", "ערב", "כמה", "למה", "מי")
"""A vocabulary a call: a word of one in another one's record shows. Both detectors hear these words whole."""

EDGE_MS: Final = 300
"""Of a word so near to the moment when somebody is cut off, nobody knows how much arrived."""

_ENOUGH: Final = 7
"""Words of a first sentence in the short form: 4 s, in which a stream rotates and meets its limit."""

_BEHIND: Final = 2
"""Words of a second sentence in the short form: they show that the call goes on, and in which order."""

_SOON_S: Final = 0.3
"""When the second caller begins in the short form."""

Utterances = tuple[tuple[str, ...], ...]
Spans = tuple[tuple[int, int], ...]


def sentences(vocabulary: Sequence[str], *lengths: int) -> Utterances:
    """Return utterances of so many words, all different as long as the vocabulary lasts."""
    words = cycle(vocabulary)
    return tuple(tuple(islice(words, length)) for length in lengths)


@dataclass(frozen=True, kw_only=True)
class Talk:
    """One caller. Everything in ms of the stream's time, which goes on while nothing is sent."""

    utterances: Utterances
    starts_s: float = 0.0  # after the first caller
    lead_ms: int = 400
    gap_ms: int = 900
    tail_ms: int = 900
    pause_ms: int = PAUSE_MS
    holds: Spans = ()  # (at, length): nothing comes, what is to be said waits
    gaps: Spans = ()  # (at, length): messages lost, with the sound in them
    jumps: Spans = ()  # (at, by): from here on media timestamps are off by so much
    skips: Spans = ()  # (at, count): sequence numbers that nobody used
    jitter_ms: float = 0.0
    ending: CallEnding = CallEnding.HANG_UP
    cut_ms: int | None = None  # the caller is gone at this moment, whatever was to be said

    @property
    def spoken(self) -> SpokenAudio:
        return script(
            self.utterances, gap_ms=self.gap_ms, lead_ms=self.lead_ms, tail_ms=self.tail_ms, pause_ms=self.pause_ms
        )

    @property
    def audio(self) -> bytes:
        mulaw = self.spoken.mulaw
        return mulaw if self.cut_ms is None else mulaw[: self.cut_ms * 8]

    def said(self, deaf_ms: float | None = None) -> list[Said]:
        """Return the words with their places in the call's audio time.

        Those in a gap were not said, nor those behind `deaf_ms`, when the service stopped listening; those cut by
        a gap or by the end may have arrived in part, the former in two parts. Jumps forward are silence to whoever
        listens.
        """
        found = []
        for word in self.spoken.words:
            begin, end = self.placed(word.start / 8), self.placed(word.end / 8)
            shift = sum(by for at, by in self.jumps if by > 0 and at <= begin)
            ends = [] if self.cut_ms is None else [float(self.cut_ms)]
            ends += [] if deaf_ms is None else [deaf_ms - shift]
            if any(begin >= limit + EDGE_MS for limit in ends) or self._lost(begin, end):
                continue
            touched = self._touched(begin, end)
            whole = all(end <= limit - EDGE_MS for limit in ends) and not touched
            found += [Said(word.text, begin + shift, end + shift, whole)] * (2 if touched else 1)
        return found

    def placed(self, ms: float) -> float:
        """Return when something that the script has at `ms` is really said."""
        for at, length in sorted(self.holds):
            ms += length if at <= ms else 0
        return ms

    def word_s(self, number: int, part: float = 0.5) -> float:
        """Return when word `number` (from 0) is being said, in seconds; `part` of the way through it."""
        word = self.spoken.words[number]
        return self.placed((word.start + part * (word.end - word.start)) / 8) / 1000

    def quiet_s(self, number: int, after_ms: int = 400) -> float:
        """Return a moment in the silence after utterance `number`."""
        return self.placed(self.spoken.utterances[number].end / 8 + after_ms) / 1000

    def _lost(self, begin: float, end: float) -> bool:
        return any(at <= begin and end <= at + length for at, length in self.gaps)

    def _touched(self, begin: float, end: float) -> bool:
        return any(begin < at + length + 20 and at < end for at, length in self.gaps)


Action = Callable[["Ground"], Awaitable[None] | None]


@dataclass(frozen=True)
class Step:
    """Something that is done while the calls go on."""

    do: Action
    at_s: float = 0.0  # of the first caller's audio
    streams: int = 0  # not before Google has seen so many streams opened
    after_s: float = 0.0  # and then so much later


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What must be seen, besides every word in its place."""

    says: tuple[str, ...] = ()  # each is in a line of the log; of `one|other`, one is
    then: tuple[str, ...] = ()  # the first lines with these texts come in this order
    never: tuple[str, ...] = ()  # no line has any of these
    quiet: bool = False  # no warning at all
    sources: frozenset[str] | None = None  # where finals may come from
    streams: tuple[int, int] | None = None  # opened, at least and at most: a fault is no reason for a loop
    unary: tuple[int, int] | None = None
    whispered: bool | None = None
    reason: str = "stop"  # of every call's end
    errors: bool = False  # whether the log may hold errors
    flipped: bool = False  # in each call an utterance began with the flag off, and a later one with it on


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row. `what` is a sentence for the table."""

    name: str
    what: str
    talks: tuple[Talk, ...]
    group: str = ""
    double: DoubleSettings = field(default_factory=DoubleSettings)
    faults: tuple[Fault, ...] = ()
    soniox: tuple[SonioxFault, ...] | None = None  # Soniox hears the calls, with these faults; None: there is no Soniox
    soniox_double: SonioxDoubleSettings = field(default_factory=SonioxDoubleSettings)
    settings: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    seen: Seen = field(default_factory=Seen)
    relay: bool = False  # between the service and Google
    line: bool = False  # a relay between the caller and the service
    whisper: bool = False
    patience: Patience = PRODUCTION
    brief: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the short form: other talks than a second sentence of two words, other times and limits."""

    def short(self) -> Scenario:
        """Return the form that runs with the tests: callers say a sentence and the beginning of another.

        What may be otherwise on a machine that is too busy to answer in time (a single request to be safe, and the
        warning that says so) is not looked at there.
        """
        talks = tuple(map(_shorter, self.talks))
        brief = replace(self, **{"talks": talks, **self.brief})
        streams = brief.seen.streams and (1, brief.seen.streams[1])
        return replace(brief, seen=replace(brief.seen, quiet=False, unary=None, streams=streams))

    @property
    def length_s(self) -> float:
        """How long its longest call lasts."""
        ends = [talk.starts_s + talk.placed(len(talk.audio) / 8) / 1000 for talk in self.talks]
        return max(ends)


def _shorter(talk: Talk) -> Talk:
    first, *more = talk.utterances
    utterances = (first[:_ENOUGH], *(words[:_BEHIND] for words in more[:1]))
    return replace(talk, utterances=utterances, starts_s=min(talk.starts_s, _SOON_S))
