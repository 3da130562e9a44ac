"""The utterance dispatcher: from speech and results to partials and one final an utterance.

The VAD only moves the pointer (`begin`, `fall_silent`); which utterance a result belongs to is decided by audio time
(`attribution`). An utterance closes by the first of

- a final that covers its end,
- a second interim of the same RPC that says the same as the one before it and reaches further, to the end of speech: it
  is promoted before the deadline. The first one may have come while the caller was still speaking. Where the deadline
  is later than the stream is given (`UtteranceTimeouts.give_up`), finals are waited for, and this does not happen,
- its deadline: the newest interim is promoted, if it reaches the end of speech,
- an answer from elsewhere (`settle`): the single request, or Whisper.

A final that comes later still corrects the record: `Revised`. So does one without text, of the RPC whose interim was
promoted: the recognizer has taken its words back. A single request that makes out nothing only marks the text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final as Constant

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.attribution import Share, divide
from batkol.speech.corrections import check, counts_for, outdate, revise, separate
from batkol.speech.outcomes import Final, Missed, Partial, TakenBack, Unconfirmed, Unplaced, UtteranceOutcome
from batkol.speech.results import Transcript
from batkol.speech.sameness import same
from batkol.speech.utterance import Mode, Source, Step, Utterance, UtteranceState

LONGEST: Constant = 55 * SAMPLE_RATE
"""An utterance is cut here: a single request takes at most 60 s of audio (Google's quota page)."""

KEPT: Constant = 8
"""Utterances that late results can still find …"""

OWED: Constant = 128
"""… and of those that the stream still owes a final, which a caller who hardly pauses may be long in getting."""

LAST_WORD: Constant = 3 * SAMPLE_RATE
"""Time after its end in which the last word of an utterance is looked for again, if no final has covered it."""

_OF_ANOTHER_SESSION: Constant = -1


@dataclass(slots=True)
class UtteranceTimeouts:
    """Time limits of an utterance, in seconds from the end of speech."""

    final: float = 0.7  # then the newest interim is promoted (STT_FINAL_TIMEOUT_MS)
    settle: float = 0.1  # but never less than this after the last audio was flushed
    give_up: float = 1.5  # then the stream has missed the utterance
    confirm: float = 3.0  # then an utterance no longer waits for the final of its promoted interim


class Utterances:
    """The utterances of one call, in order. Everything returns what is to be done; nothing here waits."""

    __slots__ = ("_count", "_heard_to", "_recent", "patience")

    def __init__(self, patience: UtteranceTimeouts) -> None:
        self.patience = patience
        self._recent: deque[Utterance] = deque()
        self._count = 0
        self._heard_to = 0

    @property
    def speaking(self) -> Utterance | None:
        """The utterance the caller is in the middle of."""
        return next((u for u in reversed(self._recent) if u.state is UtteranceState.SPEAKING), None)

    @property
    def open(self) -> list[Utterance]:
        """The utterances whose final has not gone out."""
        return [u for u in self._recent if u.state is not UtteranceState.DONE]

    @property
    def unsettled(self) -> list[Utterance]:
        """Open utterances, and those whose final went out from an interim that no final has confirmed."""
        return [u for u in self._recent if u.state is not UtteranceState.DONE or u.awaits_final]

    def cut_short(self, now: int) -> list[Utterance]:
        """Return the utterances before sample `now` whose last word may be missing, as no final covers their end."""
        lately = (u for u in self._recent if u.end is not None and u.end >= now - LAST_WORD)
        return [u for u in lately if u.is_cut_short and u.mode is Mode.STREAMING]

    def overlapping(self, start: int, end: int | None) -> list[Utterance]:
        """Return the utterances with speech in [start, end), or anywhere after `start`."""
        return [u for u in self._recent if (end is None or u.begin < end) and (u.end is None or u.end > start)]

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` must run next."""
        return min((due for u in self._recent if (due := _due(u)) is not None), default=None)

    def begin(self, begin: int, speech_at: int, mode: Mode) -> Utterance:
        """Open an utterance. Raises `RuntimeError` while another one is being spoken."""
        if self.speaking is not None:
            raise RuntimeError(f"utterance {self.speaking.index} is still being spoken")
        return self._add(begin, speech_at, mode)

    def fall_silent(self, end: int, heard_to: int, now: float) -> list[UtteranceOutcome]:
        """The caller fell silent at sample `end`, which is known with audio up to `heard_to`."""
        utterance = self.speaking
        if utterance is None:
            return []
        utterance.move(Step.FELL_SILENT)
        utterance.end = max(end, utterance.begin)
        if utterance.mode is Mode.SINGLE:
            return []
        ended = now - max(0, heard_to - utterance.end) / SAMPLE_RATE
        utterance.deadline = max(ended + self.patience.final, now + self.patience.settle)
        utterance.give_up = max(ended + self.patience.give_up, utterance.deadline)
        return list(self._close_if_covered(utterance))

    def dispatch(self, heard: Transcript) -> list[UtteranceOutcome]:
        """Take a result of the streaming session."""
        self._heard_to = max(self._heard_to, heard.end)
        shares = divide(heard, self._recent)
        outcomes = [outcome for share in shares for outcome in self._assign(share, heard)]
        if heard.final:
            with_share = {id(share.utterance) for share in shares}
            passed_over = [utterance for utterance in self._recent if id(utterance) not in with_share]
            outcomes += [outcome for utterance in passed_over for outcome in self._pass_over(utterance, heard)]
        return outcomes

    def settle(self, utterance: Utterance, text: str, source: Source) -> list[UtteranceOutcome]:
        """Close an utterance with an answer from elsewhere. One that is done may still be corrected by it."""
        is_open = utterance.state is not UtteranceState.DONE
        outcomes = [_done(utterance, text, source)] if is_open else list(check(utterance, text))
        return [*outcomes, *self._separate(utterance)]

    def fall_back(self, utterance: Utterance, *, checked: bool) -> list[UtteranceOutcome]:
        """Close an open utterance with the newest interim. `checked`: another recognizer made out nothing in it."""
        utterance.unconfirmed = checked and bool(utterance.interim)
        return [_done(utterance, utterance.newest, Source.INTERIM), *self._separate(utterance)]

    def session_opened(self) -> None:
        """Another streaming session begins, whose RPCs are counted anew: none of them gave an interim so far."""
        for utterance in self._recent:
            if utterance.interim_rpc is not None:
                utterance.interim_rpc = _OF_ANOTHER_SESSION

    def tick(self, now: float) -> list[UtteranceOutcome]:
        """Promote what is late, and name what the stream has missed."""
        return [outcome for u in self._recent if _due(u) is not None for outcome in self._tick(u, now)]

    def stream_ended(self) -> list[UtteranceOutcome]:
        """The stream was closed and nothing more will come of it: promote what there is, name what it missed."""
        outcomes: list[UtteranceOutcome] = []
        for utterance in self.unsettled:
            if utterance.awaits_final:
                utterance.give_up = None
                outcomes.append(Unconfirmed(utterance))
            elif utterance.mode is Mode.STREAMING and utterance.state is UtteranceState.CLOSING:
                asked = utterance.give_up is None  # it was missed before, and its answer is on the way
                closed = list(self._promote(utterance))
                self.drop_stream(utterance)
                outcomes += closed or ([] if asked else [Missed(utterance)])
        return outcomes

    def surroundings(self, utterance: Utterance) -> tuple[int, int | None]:
        """Return the end of the utterance before this one, and the beginning of the next one, if it has begun."""
        known = list(self._recent)  # in order of time, which is not that of the indexes: speech may be placed late
        place = known.index(utterance)
        before = max((other.end or 0 for other in known[:place]), default=0)
        return before, known[place + 1].begin if place + 1 < len(known) else None

    def drop_stream(self, utterance: Utterance) -> None:
        """The stream will not finish this utterance: it is a single request's from now on."""
        utterance.mode = Mode.SINGLE
        utterance.deadline = utterance.give_up = None

    def _tick(self, utterance: Utterance, now: float) -> Iterator[UtteranceOutcome]:
        if utterance.deadline is not None and now >= utterance.deadline:
            utterance.deadline = None  # from here on the first result that reaches the end closes it
            yield from self._promote(utterance)
        if utterance.give_up is not None and now >= utterance.give_up:
            utterance.give_up = None  # a stream that wakes up may still win the race
            if utterance.state is not UtteranceState.DONE:
                yield Missed(utterance)
            elif self._heard_to > utterance.heard_beyond:  # the stream lives: its final is only late
                utterance.heard_beyond, utterance.give_up = self._heard_to, now + self.patience.confirm
            else:
                yield Unconfirmed(utterance)

    def _promote(self, utterance: Utterance) -> Iterator[UtteranceOutcome]:
        if utterance.newest and utterance.reaches_end and not self._is_joined(utterance):
            due = utterance.give_up
            yield _done(utterance, utterance.newest, Source.INTERIM if utterance.interim else Source.FINAL)
            if utterance.interim and due is not None:
                utterance.heard_beyond, utterance.give_up = self._heard_to, due + self.patience.confirm

    def _assign(self, share: Share, heard: Transcript) -> Iterator[UtteranceOutcome]:
        utterance = share.utterance
        if utterance is None:
            if heard.final and share.text:
                yield from self._unplaced(share, heard)
            return
        utterance.streamed = True
        utterance.recognizer = heard.recognizer
        had, steady = bool(utterance.interim), False
        utterance.join(share.joined)
        if heard.final:
            if not share.text and not counts_for(utterance, heard):
                return
            utterance.settle(share.text, share.end)
        else:
            steady = self.patience.final < self.patience.give_up and _says_again(utterance, share, heard)
            utterance.update_interim(share.text, share.end, heard.rpc)
        if utterance.state is UtteranceState.DONE:
            yield from revise(utterance)
        elif utterance.mode is Mode.STREAMING:
            yield from self._grow(utterance, heard.end, heard.stability, steady=steady)
            if had and not utterance.newest:
                yield TakenBack(utterance)

    def _grow(self, utterance: Utterance, end: int, stability: float, *, steady: bool) -> Iterator[UtteranceOutcome]:
        closed = list(self._close_if_covered(utterance))
        due = steady or utterance.deadline is None
        if not closed and utterance.state is UtteranceState.CLOSING and due:
            closed = list(self._promote(utterance))
        if closed:
            yield from closed
        elif utterance.newest:
            yield Partial(utterance, utterance.newest, end, stability)

    def _pass_over(self, utterance: Utterance, heard: Transcript) -> Iterator[UtteranceOutcome]:
        had = bool(utterance.interim)
        yield from outdate(utterance, heard)
        closing = utterance.state is UtteranceState.CLOSING and utterance.mode is Mode.STREAMING
        if had and not utterance.interim and closing:
            yield TakenBack(utterance)

    def _close_if_covered(self, utterance: Utterance) -> Iterator[UtteranceOutcome]:
        if utterance.is_covered and utterance.parts and not utterance.interim and not self._is_joined(utterance):
            yield _done(utterance, utterance.committed, Source.FINAL)

    def _is_joined(self, utterance: Utterance) -> bool:
        """Whether words of an utterance that is still open may be among its own."""
        return any(u.index in utterance.joined for u in self.open) if utterance.joined else False

    def _separate(self, earlier: Utterance) -> Iterator[UtteranceOutcome]:
        """An utterance has its text: those that may have its words, too, can be settled."""
        for later in self._recent:
            if earlier.index not in later.joined:
                continue
            if earlier.answer:
                yield from separate(later, earlier)
            if later.state is not UtteranceState.DONE and later.mode is Mode.STREAMING:
                grown = list(self._grow(later, later.text_end, 0.0, steady=False))
                yield from grown or [TakenBack(later)]

    def _unplaced(self, share: Share, heard: Transcript) -> Iterator[UtteranceOutcome]:
        utterance = self._add(share.start, share.start, Mode.STREAMING)
        utterance.move(Step.FELL_SILENT)
        utterance.end = utterance.covered = share.end
        utterance.parts.append(share.text)
        utterance.streamed = True
        utterance.recognizer = heard.recognizer
        utterance.voiced = False
        yield Unplaced(utterance)
        yield _done(utterance, share.text, Source.FINAL)

    def _add(self, begin: int, speech_at: int, mode: Mode) -> Utterance:
        utterance = Utterance(index=self._count, begin=begin, speech_at=speech_at, mode=mode, covered=begin)
        self._count += 1
        later = sum(other.begin > begin for other in self._recent)  # speech that the VAD engine missed is reported late
        self._recent.insert(len(self._recent) - later, utterance)
        while len(self._recent) > KEPT and self._may_go(self._recent[0]):
            self._recent.popleft()
        return utterance

    def _may_go(self, oldest: Utterance) -> bool:
        owed = oldest.streamed and not oldest.is_covered and len(self._recent) <= OWED
        return oldest.state is UtteranceState.DONE and not owed


def _says_again(utterance: Utterance, share: Share, heard: Transcript) -> bool:
    """Whether an interim says the same of a closing utterance as the one before it, and reaches further.

    Its share of an interim that goes on into the next utterance is counted off by that one: such a share says nothing.
    """
    if utterance.state is not UtteranceState.CLOSING or not utterance.interim or share.end != heard.end:
        return False
    if utterance.interim_rpc != heard.rpc:
        return False
    return share.end > utterance.interim_end and same(utterance.interim, share.text)


def _done(utterance: Utterance, text: str, source: Source) -> Final:
    utterance.move(Step.SETTLED)
    utterance.text, utterance.source = text, source
    utterance.deadline = utterance.give_up = None
    return Final(utterance)


def _due(utterance: Utterance) -> float | None:
    return utterance.deadline if utterance.deadline is not None else utterance.give_up
