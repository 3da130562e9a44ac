"""Checks of the call in which the agent answers. Pure: observations in, checks out.

Words at the ear are compared only where the ear can know them: the built-in voice speaks the words of the synthetic
voice, and so does the double of a voice's server. Of any other sound the ear knows the times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.gonogo.checks import Check, RehearsalLimits
from batkol.gonogo.reply_call import RepliesSeen, unheard
from batkol.quantity import quantity
from batkol.simulators.client.call_record import words_of, words_right
from batkol.simulators.client.conversation import Observed
from batkol.simulators.client.reply_record import WatchedReply
from batkol.simulators.twilio.caller import CallOutcome
from batkol.simulators.twilio.ear import EarWord
from batkol.simulators.voice.recognizer import GARBLE
from batkol.terminal_text import isolated
from batkol.voices.marked.voice import WORDS

EarWords: TypeAlias = Sequence[EarWord] | None
"""The words of the whole call at the ear; None: they are not compared."""

PART: Final = "replies"
_UNSURE_WORDS: Final = 1
"""Words by which the service may be wrong about what the caller heard (docs/replies.md)."""
_UNMARKED: Final = "espeak"
"""The voice whose words the ear cannot know, although a service with doubles has it."""
_CUT_MS: Final = 40
"""Milliseconds of the goodbye's last silence that may be lost."""
_BEFORE_S: Final = 0.5
"""Seconds by which the sound of a reply may be heard before its event comes, or after."""


def replies(observed: Observed, seen: RepliesSeen, limits: RehearsalLimits) -> list[Check]:
    """Return the checks of the first reply, the interruption and the goodbye."""
    ear = observed.report.ear.words() if limits.expect_words else None
    return [
        _first(seen.first, limits),
        _heard(seen, ear),
        _silenced(observed, seen, limits),
        _history(seen, ear),
        _goodbye(observed, seen),
        _one_stream(observed, seen),
        _warnings(observed),
    ]


def _first(reply: WatchedReply | None, limits: RehearsalLimits) -> Check:
    wanted = f"≤ {limits.first_reply_ms:.0f} ms (design: p95 1200)"
    name = "first reply in time"
    if reply is None or reply.started is None:
        return Check(PART, name, passed=False, figure="no reply", wanted=wanted, detail=_NO_REPLY)
    if reply.phrase is not None:
        return Check(PART, name, passed=False, figure=reply.phrase, wanted=wanted, detail=_no_answer(reply.phrase))
    ms = reply.started.latency_ms
    figure = "no time" if ms is None else f"{ms:.0f} ms"
    return Check(PART, name, passed=ms is not None and ms <= limits.first_reply_ms, figure=figure, wanted=wanted)


def _no_answer(phrase: str) -> str:
    """Return what it means that the caller heard a phrase of the agent's own in the place of an answer."""
    why = "the service made no words out of what the caller said" if phrase in _UNHEARD else _FAILED
    return f"The caller heard the phrase `{phrase}` instead of an answer: {why}."


_UNHEARD: Final = frozenset({"idle", "repeat"})
_FAILED: Final = "the answerer or the voice failed; see the service's [AGENT] lines"
_NO_REPLY: Final = "No reply began. See the service's [AGENT] lines, and whether ANSWERER and VOICE can be reached."


def _heard(seen: RepliesSeen, at_ear: EarWords) -> Check:
    name, reply = "first reply heard whole", seen.first
    if reply is None or reply.ended is None:
        return Check(PART, name, passed=False, figure="no end", wanted="all of it")
    intended, heard = reply.ended.intended.split(), reply.ended.heard.split()
    ear = _ear_words(seen, reply, at_ear)
    whole = intended == heard and _agree(ear, heard)
    figure = f"{len(heard)}/{len(intended)} words"
    if ear is not None:
        figure += f", {_right(ear, heard)} at the ear"
    detail = "" if ear is None else f"said: {isolated(reply.ended.intended)}\nheard: {isolated(' '.join(ear))}"
    return Check(PART, name, passed=whole, figure=figure, wanted="all of it", detail=detail)


def _silenced(observed: Observed, seen: RepliesSeen, limits: RehearsalLimits) -> Check:
    name, wanted = "interruption silences the agent", f"≤ {limits.silence_ms:.0f} ms (design: p95 900)"
    if seen.interruption is None or seen.interrupted is None:
        return Check(PART, name, passed=False, figure="no answer to interrupt", wanted=wanted)
    if (phrase := seen.interrupted.phrase) is not None:
        return Check(PART, name, passed=False, figure=phrase, wanted=wanted, detail=_no_answer(phrase))
    began = observed.report.sent_at(seen.interruption.begin_ms * SAMPLES_PER_MS)
    ends = [sound.begins_at + len(sound.mulaw) / SAMPLE_RATE for sound in observed.report.ear.sounds if sound.cut]
    after = [end for end in ends if end >= began]
    if not seen.interrupted.interrupted or not after:
        detail = (
            "The answer was not interrupted. If it was over before the caller spoke, it was too short: have the agent "
            "answer in more words."
        )
        return Check(PART, name, passed=False, figure="went on", wanted=wanted, detail=detail)
    ms = (after[0] - began) * 1000
    return Check(PART, name, passed=ms <= limits.silence_ms, figure=f"{ms:.0f} ms", wanted=wanted)


def _history(seen: RepliesSeen, at_ear: EarWords) -> Check:
    name, wanted = "history has what was heard", f"± {_UNSURE_WORDS} word"
    reply = seen.interrupted
    if reply is None or reply.ended is None:
        return Check(PART, name, passed=False, figure="no interrupted answer", wanted=wanted)
    if reply.phrase is not None:
        return Check(PART, name, passed=False, figure=reply.phrase, wanted=wanted, detail=_no_answer(reply.phrase))
    intended, heard = reply.ended.intended.split(), reply.ended.heard.split()
    cut = reply.ended.interrupted and heard == intended[: len(heard)]
    ear = _ear_words(seen, reply, at_ear)
    figure = f"{len(heard)}/{len(intended)} words"
    if ear is not None:
        figure += f", {len(ear)} at the ear"
    passed = cut and (ear is None or abs(len(ear) - len(heard)) <= _UNSURE_WORDS)
    detail = f"history: {isolated(reply.ended.heard)}\nheard: {isolated(' '.join(ear or ()))}"
    return Check(PART, name, passed=passed, figure=figure, wanted=wanted, detail=detail)


def _goodbye(observed: Observed, seen: RepliesSeen) -> Check:
    name, wanted = "goodbye heard to its last word", "all of it"
    said = [reply for reply in observed.watch.replies.all if reply.phrase == "goodbye"]
    if not said or said[-1].ended is None:
        detail = seen.refusal or "The agent said no goodbye; is it an empty text in AGENT_PHRASES?"
        return Check(PART, name, passed=False, figure="none", wanted=wanted, detail=detail)
    lost_ms = max(0, unheard(observed.report) - seen.unheard_before) / SAMPLES_PER_MS
    ended = said[-1].ended
    whole = ended.heard == ended.intended and lost_ms <= _CUT_MS
    figure = f"{len(ended.heard.split())}/{len(ended.intended.split())} words, {lost_ms:.0f} ms cut"
    return Check(PART, name, passed=whole and len(said) == 1, figure=figure, wanted=wanted)


def _one_stream(observed: Observed, seen: RepliesSeen) -> Check:
    report, ended = observed.report, observed.watch.ended
    reason = ended.reason if ended else "no call.ended"
    right = report.streams == 1 and report.outcome is CallOutcome.COMPLETED and reason == "hung_up"
    figure = f"{quantity(report.streams, 'stream')}, {reason}"
    detail = seen.refusal or "Twilio went on after the service ended the call: see docs/operations.md, replies."
    return Check(PART, "hung up once, no redial", passed=right, figure=figure, wanted="1, hung_up", detail=detail)


def _warnings(observed: Observed) -> Check:
    report = observed.report
    detail = "\n".join(f"Twilio {violation.code}: {violation.text}" for violation in report.violations)
    figure = quantity(len(report.violations), "warning")
    return Check(PART, "no warning from Twilio", passed=report.clean, figure=figure, wanted="0 warnings", detail=detail)


def _ear_words(seen: RepliesSeen, reply: WatchedReply, at_ear: EarWords) -> Sequence[str] | None:
    """Return the words that the ear heard of a reply; None where the ear cannot know its words."""
    moments = seen.moments.get(reply.turn)
    if at_ear is None or reply.ended is None or moments is None or reply.ended.voice == _UNMARKED:
        return None
    if not frozenset(words_of(reply.ended.intended)) <= frozenset(WORDS):
        return None
    later = (each.begun_at for each in seen.moments.values() if each.begun_at > moments.begun_at)
    until = min(later, default=float("inf")) - _BEFORE_S
    return [word.text for word in at_ear if moments.begun_at - _BEFORE_S < word.begins_at < until]


def _right(ear: Sequence[str], heard: Iterable[str]) -> int:
    return words_right(words_of(" ".join(heard)), ear)


def _agree(ear: Sequence[str] | None, heard: Sequence[str]) -> bool:
    """Whether the ear heard these words; one may be torn, where sound came late on a busy machine."""
    if ear is None:
        return True
    whole = [word for word in ear if word != GARBLE]
    return _right(whole, heard) >= len(heard) - _UNSURE_WORDS and len(whole) <= len(heard)
