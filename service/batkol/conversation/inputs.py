"""Inputs of the turn table: what the caller, the recognizer and the reply did.

An utterance is named by its index in its stream, an attempt at a reply by its number. Times are seconds of one clock.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class CallerBegan(msgspec.Struct, frozen=True):
    """The caller began an utterance."""

    utterance: int


class TextChanged(msgspec.Struct, frozen=True):
    """The newest text of an utterance changed. `settled`: finals alone make it up."""

    utterance: int
    text: str
    settled: bool = False


class TextReached(msgspec.Struct, frozen=True):
    """The caller is quiet, and the text reaches the end of speech: a tentative stands."""

    utterance: int
    text: str


class TextWithdrawn(msgspec.Struct, frozen=True):
    """The standing tentative no longer holds: speech goes on, or the text says something else."""

    utterance: int
    by_speech: bool


class CallerPaused(msgspec.Struct, frozen=True):
    """The caller is quiet for a moment, since the time `last_sample`; the utterance may go on."""

    utterance: int
    last_sample: float


class CallerLasted(msgspec.Struct, frozen=True):
    """An utterance has gone on for as long as an interruption does."""

    utterance: int


class CallerStopped(msgspec.Struct, frozen=True):
    """The caller has fallen silent; `last_sample` is the time at which the last sample of speech was spoken.

    `certain_at` is when the silence was long enough to say so. The audio of that moment may have come later.
    """

    utterance: int
    last_sample: float
    certain_at: float | None = None


class TextSettled(msgspec.Struct, frozen=True):
    """The final of an utterance. `failed`: no recognizer could hear it, and nothing is known of its words."""

    utterance: int
    text: str
    failed: bool = False


class TextRevised(msgspec.Struct, frozen=True):
    """The final of an utterance was corrected. A correction that takes all of the words back is none of these."""

    utterance: int
    text: str


class DigitPressed(msgspec.Struct, frozen=True):
    """The caller pressed a key: `0`-`9`, `*` or `#`."""

    key: str


class SoundQueued(msgspec.Struct, frozen=True):
    """The first sound of a released attempt waits in the line."""

    attempt: int


class ReplySounded(msgspec.Struct, frozen=True):
    """The first sound of an attempt was written."""

    attempt: int


class ReplyPlayed(msgspec.Struct, frozen=True):
    """The caller has heard the last sound of an attempt.

    `owes_text`: of its tools' results nothing was said. `broke`: a fault kept the rest of it from being spoken.
    """

    attempt: int
    owes_text: bool = False
    broke: bool = False


class AttemptLost(msgspec.Struct, frozen=True):
    """An attempt ended without a sound: the answerer or the voice failed, or the answer is empty."""

    attempt: int


class ToolsBegan(msgspec.Struct, frozen=True):
    """An attempt waits for tools, which are given up in `within_s` seconds."""

    attempt: int
    within_s: float


class ToolsEnded(msgspec.Struct, frozen=True):
    """The tools of an attempt are over: the answerer is asked again."""

    attempt: int


class ReplyRanDry(msgspec.Struct, frozen=True):
    """The caller has heard all of an attempt so far, and more of it is to come."""

    attempt: int


class ReplyWentOn(msgspec.Struct, frozen=True):
    """Sound of an attempt that had run dry follows."""

    attempt: int


class CallOpened(msgspec.Struct, frozen=True):
    """The call is up. `greet`: it begins with the greeting."""

    greet: bool


class AnnouncementAsked(msgspec.Struct, frozen=True):
    """The API has an announcement for the caller. `urgent`: in the place of what is said or prepared."""

    announcement: int
    urgent: bool = False


class AnnouncementReady(msgspec.Struct, frozen=True):
    """The first sound of an announcement is there."""

    announcement: int


class AnnouncementLost(msgspec.Struct, frozen=True):
    """The voice gave no sound for an announcement."""

    announcement: int


class ClearAsked(msgspec.Struct, frozen=True):
    """The API silences the line, and drops the announcements that wait."""


class EndAsked(msgspec.Struct, frozen=True):
    """The call is to end: a tool, the API, a limit or a budget asks. The first one counts, and stands.

    What is being said is finished, then a goodbye is said if asked, then the call is hung up, or with `transfer`, which
    is a label, transferred.
    """

    transfer: str = ""
    goodbye: bool = True
    reason: str = ""
    """The reason for `call.ended`; empty: `hung_up` or `transferred`."""


class TransferFailed(msgspec.Struct, frozen=True):
    """The transfer that was asked for was refused: the caller is still here."""


class ServiceFailed(msgspec.Struct, frozen=True):
    """A defect of the service has thrown away every attempt; the line is silent."""


class CallClosing(msgspec.Struct, frozen=True):
    """The call ends: no further turn begins."""


Input: TypeAlias = (
    CallerBegan
    | TextChanged
    | TextReached
    | TextWithdrawn
    | CallerPaused
    | CallerLasted
    | CallerStopped
    | TextSettled
    | TextRevised
    | DigitPressed
    | SoundQueued
    | ReplySounded
    | ReplyPlayed
    | AttemptLost
    | ToolsBegan
    | ToolsEnded
    | ReplyRanDry
    | ReplyWentOn
    | CallOpened
    | AnnouncementAsked
    | AnnouncementReady
    | AnnouncementLost
    | ClearAsked
    | EndAsked
    | TransferFailed
    | ServiceFailed
    | CallClosing
)
