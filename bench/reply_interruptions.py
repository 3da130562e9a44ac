"""Callers who speak into the reply: what counts as heard, how soon it is silent, and who does not interrupt it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from batkol.events.events import ReplyInterrupted, ReplyResumed
from batkol.simulators.llm.records import RequestRecord
from batkol.simulators.voice.recognizer import GARBLE
from batkol.speech.sameness import spoken
from reply_callers import MachineLoad, Talk, conversations, quantile
from reply_parties import Arrangement, World, world
from support.speech.alignment import words_played
from support.speech.hums import mm_hms

ONSET_P50_S: Final = 0.6
ONSET_P95_S: Final = 0.9
CLEAR_S: Final = 0.020
GAP_S: Final = 0.040
CALLS: Final = 8
_READ_S: Final = 0.1
"""Seconds by which an event may be read later than its sound, or its `clear`, came."""
HUMS_IN_A_REPLY: Final = 2
LONG_ANSWERS: Final = Arrangement(answer="")
DISTANCES: Final = ((0.0, 0.0, 25), (150.0, 40.0, 9), (400.0, 80.0, 9))
"""Delay and jitter of the caller's network in ms, and interruptions in each call."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """One reply that its caller interrupted. Times in seconds."""

    intended: list[str]
    told: int  # words that the history has of it
    heard: list[str]  # whole words at the ear
    onset_s: float  # from the caller's first sample to silence at the ear
    clear_s: float  # from the decision to the `clear` at the caller
    remembered: bool  # whether a request had this history

    @property
    def off_by(self) -> int:
        """Words that the history has more than the ear; negative: less. A word with a hole counts if one follows."""
        return self.told - words_played(self.intended, self.heard)


async def interruptions(up: World, each: int, delay_ms: float, jitter_ms: float) -> tuple[list[Interruption], str]:
    """Let callers interrupt replies at random moments; return what came of it."""

    async def conduct(talk: Talk) -> None:
        for _ in range(each + 1):  # the first sentence interrupts nothing
            await talk.ask_and_go_on()
            await talk.pause(0.2, 4.5)

    load = MachineLoad()
    talks = await conversations(up, CALLS, conduct, seed=round(delay_ms), delay_ms=delay_ms, jitter_ms=jitter_ms)
    requests = await up.requests()
    return [found for talk in talks for found in found_in(talk, requests)], load.told(talks)


def found_in(talk: Talk, requests: Sequence[RequestRecord]) -> list[Interruption]:
    """Return the interruptions of one call.

    Clocks are the caller's, but for the decision's, which is the service's wall clock on the same machine.
    """
    offset = time.time() - time.monotonic()
    words = [word for word in talk.report.ear.words() if word.text != GARBLE]
    cuts = [sound.begins_at + len(sound.mulaw) / 8000 for sound in talk.report.ear.sounds if sound.cut]
    asked = {tuple(said.content for said in each.messages if said.role == "assistant") for each in requests}
    started = {event.reply_id: at for at, event in talk.answers()}
    ended = [event for _, event in talk.ended()]
    found = []
    for at, event in talk.world.observed.of(talk.sid, ReplyInterrupted):
        begun = started.get(event.reply_id)
        number = next((each for each, reply in enumerate(ended) if reply.reply_id == event.reply_id), None)
        cut = min((each for each in cuts if each > at - _READ_S), default=None)
        onset = max((turn.spoken.begun_at for turn in talk.turns if turn.spoken.begun_at < at), default=None)
        if begun is None or number is None or cut is None or onset is None:
            continue  # a phrase, or everything had been played
        found.append(
            Interruption(
                spoken(ended[number].intended).split(),
                len(ended[number].heard.split()),
                [word.text for word in words if begun - _READ_S < word.begins_at < cut],
                cut - onset,
                cut - (event.at - offset),
                tuple(reply.heard for reply in ended[: number + 1] if reply.heard) in asked,
            )
        )
    return found


async def heard() -> bool:
    """Print how far the history and the ear agree, near and far; return whether it is one word at most."""
    kept = True
    print("| ear away, ms | interruptions | same words | history one more | one less | more than that |")
    print("|---|---|---|---|---|---|")
    for delay, jitter, each in DISTANCES:
        async with world(LONG_ANSWERS) as up:
            found, load = await interruptions(up, each, delay, jitter)
        off = [each.off_by for each in found]
        worse = sum(abs(by) > 1 for by in off)
        print(
            f"| {delay:.0f} ± {jitter:.0f} | {len(off)} | {off.count(0)} | {off.count(1)} | {off.count(-1)} | {worse} |"
        )
        forgotten = sum(not each.remembered for each in found)
        for wrong in (one for one in found if abs(one.off_by) > 1):
            print(f"({wrong.told} words reported of {' '.join(wrong.intended)}; heard {' '.join(wrong.heard)})")
        print(f"({forgotten} of {len(found)} histories never came to the LLM; {load})", flush=True)
        kept = kept and bool(off) and not worse
    return kept


async def interrupted() -> bool:
    """Print how soon a reply is silent; return whether that is soon enough."""
    async with world(LONG_ANSWERS) as up:
        found, load = await interruptions(up, 12, 0.0, 0.0)
    onsets, clears = [each.onset_s for each in found], [each.clear_s for each in found]
    p50, p95 = quantile(onsets, 0.5), quantile(onsets, 0.95)
    written = quantile(clears, 0.95)
    print("| interruptions | onset → silence at the ear, p50 / p95 / worst ms | decision → `clear` at the caller |")
    print("|---|---|---|")
    times = " / ".join(f"{1000 * each:.0f}" for each in (p50, p95, max(onsets)))
    clear = " / ".join(f"{1000 * each:.0f}" for each in (quantile(clears, 0.5), written, max(clears)))
    print(f"| {len(found)} | {times} | {clear} |\n({load})")
    return p50 <= ONSET_P50_S and p95 <= ONSET_P95_S and written <= CLEAR_S


def _ended_as_often(talk: Talk, answers: int) -> bool:
    return len(talk.ended()) >= answers


async def mm_hms_in_replies() -> bool:
    """Print what mm-hms do to replies; return whether they do nothing."""
    hums = [clip.mulaw for clip in mm_hms(104)]

    async def conduct(talk: Talk) -> None:
        own = hums[sum(map(ord, talk.sid)) % 2 :: 2]
        talk.draw.shuffle(own)
        for number in range(7):
            await talk.ask_and_go_on()
            for hum in own[HUMS_IN_A_REPLY * number : HUMS_IN_A_REPLY * (number + 1)]:
                await talk.pause(0.5, 1.0)
                await talk.caller.say(hum)
                await talk.pause(0.9, 1.2)
            before = len(talk.answers())
            await talk.world.observed.until(partial(_ended_as_often, talk, before), 20)
            await talk.pause(0.3, 0.6)

    async with world(LONG_ANSWERS) as up:
        load = MachineLoad()
        talks = await conversations(up, CALLS, conduct)
    interrupted = sum(len(talk.world.observed.of(talk.sid, ReplyInterrupted)) for talk in talks)
    resumed = sum(len(talk.world.observed.of(talk.sid, ReplyResumed)) for talk in talks)
    gaps = [gap.seconds for talk in talks for gap in talk.report.ear.gaps]
    replies = sum(len(talk.ended()) for talk in talks)
    print("| mm-hms | replies | interruptions | resumed | gaps over 40 ms at the ear |\n|---|---|---|---|---|")
    print(
        f"| {replies * HUMS_IN_A_REPLY} | {replies} | {interrupted} | {resumed} | {len(gaps)} |\n({load.told(talks)})"
    )
    return not interrupted and not gaps
