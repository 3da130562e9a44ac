"""One utterance: the caller's words between two silences, and the states that lead to its text.

States and the events that move between them are a table (`MOVES`); an event that the table does not know raises and
changes nothing. Times are absolute samples except `deadline`, which is the clock's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.counting_off import count_off

COVERS: Final = SAMPLE_RATE // 4
"""A final that ends within 250 ms of the end of speech covers it: recognizer and VAD never agree to the sample."""

REACHES: Final = 2 * SAMPLE_RATE // 5
"""Text that ends within 400 ms of the end of speech may be promoted; shorter text would lose words."""


class UtteranceState(StrEnum):
    """States of an utterance."""

    SPEAKING = "speaking"  # the VAD hears the caller
    CLOSING = "closing"  # the caller fell silent; the text of the last words is still to come
    DONE = "done"  # its final went out; a later final can only revise the record


class Step(StrEnum):
    """Events that move an utterance to another state."""

    FELL_SILENT = "fell silent"
    SETTLED = "settled"


MOVES: Final[dict[UtteranceState, dict[Step, UtteranceState]]] = {
    UtteranceState.SPEAKING: {Step.FELL_SILENT: UtteranceState.CLOSING},
    UtteranceState.CLOSING: {Step.SETTLED: UtteranceState.DONE},
    UtteranceState.DONE: {},
}


class Mode(StrEnum):
    """Ways to recognize an utterance; the flag decides when it begins."""

    STREAMING = "streaming"
    SINGLE = "single"


class Source(StrEnum):
    """Sources of the text of a final."""

    FINAL = "final"  # the stream's own final
    INTERIM = "interim"  # the newest interim, promoted because the final was late
    SINGLE = "single"  # one request with the whole utterance
    WHISPER = "whisper"  # the last fallback
    NONE = "none"  # no recognizer returned words


@dataclass(slots=True)
class Utterance:
    """`begin` includes the pre-roll, `speech_at` does not; `end` is the last sample of speech."""

    index: int
    begin: int
    speech_at: int
    mode: Mode
    state: UtteranceState = UtteranceState.SPEAKING
    end: int | None = None
    source: Source | None = None
    deadline: float | None = None  # seconds: when the newest interim is promoted
    give_up: float | None = None  # seconds: when the stream is taken to have missed it, or its confirmation
    heard_beyond: int = 0  # where the stream was when its confirmation was last looked for
    silent_to: int | None = None  # the detector heard no speech from its end to here
    text: str = ""  # of the final that went out
    streamed: bool = False  # at least one partial or final of a stream belongs to it
    covered: int = 0  # finals reach to here
    parts: list[str] = field(default_factory=list)  # of the finals so far
    interim: str = ""  # what the stream makes of the rest
    interim_end: int = 0
    interim_rpc: int | None = None  # the RPC that gave it, or the one that was promoted; no other one can take it back
    taken_back: bool = False  # a final of that RPC settled the same audio without a word
    checked: bool = False  # another recognizer made out words, and they are its text
    unconfirmed: bool = False  # another recognizer made out nothing: no more than an interim speaks for its text
    voiced: bool = True  # the detector heard speech
    recognizer: str = ""  # the name of the streaming one whose result it had last
    unheard: bool = False  # no recognizer could be reached, so that nothing is known of its words
    joined: set[int] = field(default_factory=set)  # indexes of earlier ones whose words may be among its own

    def move(self, step: Step) -> None:
        """Take the step, or raise `RuntimeError` if the state does not know it."""
        try:
            self.state = MOVES[self.state][step]
        except KeyError:
            raise RuntimeError(f"utterance {self.index} is {self.state}: it cannot have {step}") from None

    def join(self, earlier: Sequence[Utterance]) -> None:
        """Note whose words may be among those that come now. An interim before says nothing any more."""
        if earlier or self.joined:
            self.joined = {other.index for other in earlier} | (self.joined if self.parts else set())

    def settle(self, text: str, end: int) -> None:
        """Take a final for it, up to sample `end`. Without text it withdraws the interims of its RPC."""
        self.covered = max(end, self.covered)
        self.interim = ""
        self.taken_back = not text and self.interim_rpc is not None
        if text:
            self.parts.append(text)
        if text and not self.was_promoted:
            self.interim_rpc = None

    def update_interim(self, interim: str, end: int, rpc: int) -> None:
        """Take an interim for it, up to sample `end`, from that RPC."""
        self.interim, self.interim_end, self.taken_back = interim, end, False
        if not self.was_promoted:
            self.interim_rpc = rpc

    @property
    def known_end(self) -> int:
        """The end of the utterance; while there is none, its beginning."""
        return self.begin if self.end is None else self.end

    @property
    def was_promoted(self) -> bool:
        """Whether an interim was promoted: results of other RPCs do not change which RPC gave that interim."""
        return self.state is UtteranceState.DONE and self.source is Source.INTERIM

    @property
    def is_covered(self) -> bool:
        """Whether finals have settled all of it."""
        if self.end is None or self.covered <= self.speech_at:  # an utterance may be shorter than COVERS
            return False
        return self.covered >= self.end - COVERS

    @property
    def text_end(self) -> int:
        """The sample that its newest text reaches to."""
        return self.interim_end if self.interim else self.covered

    @property
    def reaches_end(self) -> bool:
        """Whether what the stream made of it so far reaches the end of speech."""
        return self.end is not None and self.text_end >= self.end - REACHES

    @property
    def reaches_final(self) -> bool:
        """Whether finals alone reach the end of speech, of a stream that heard all of it."""
        if self.mode is not Mode.STREAMING:
            return False
        return self.end is not None and not self.interim and self.covered >= self.end - REACHES

    @property
    def text_recognizer(self) -> str:
        """The name of the streaming recognizer that gave the text of its final; empty where another source did."""
        return self.recognizer if self.source in {Source.FINAL, Source.INTERIM} else ""

    @property
    def awaits_final(self) -> bool:
        """Whether it was answered from an interim, and the stream still owes the final that confirms it."""
        return self.state is UtteranceState.DONE and self.give_up is not None

    @property
    def is_cut_short(self) -> bool:
        """Whether its final went out from the stream's finals, which end before the end of speech."""
        closed = self.state is UtteranceState.DONE and self.source is Source.FINAL
        return closed and not self.is_covered and not self.checked

    @property
    def awaits_answer(self) -> bool:
        """Whether the words of another recognizer for it are still to come, or some of them."""
        if self.state is UtteranceState.DONE and not self.unheard:
            return self.is_cut_short
        return not self.reaches_end and not self.answer

    @property
    def answer(self) -> str:
        """The text that another recognizer made of all its audio; empty if none did."""
        return self.text if self.checked or self.source in {Source.SINGLE, Source.WHISPER} else ""

    @property
    def owed(self) -> list[str]:
        """The words of `answer` that the stream has not given it."""
        words, had = self.answer.split(), self.committed.split()
        return words[count_off(had, words, len(had)) :]

    @property
    def has_whole_answer(self) -> bool:
        """Whether the stream has given it all words of `answer`, so that no further one is its own."""
        return bool(self.answer) and not self.owed

    @property
    def committed(self) -> str:
        """The text that finals have settled."""
        return " ".join(self.parts)

    @property
    def newest(self) -> str:
        """The whole text: settled text and the newest interim."""
        return " ".join((*self.parts, self.interim)) if self.interim else self.committed
