"""Rows of the failure table of replies: what goes wrong, and what the caller hears. Each is a call of two questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from batkol.simulators.google.faults import Fault, Kind, Surface
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.speaker.faults import VoiceFault, VoiceFaultKind

if TYPE_CHECKING:
    from reliability.reply_trial import Trial

FIRST: Final = ("אני", "רוצה", "פגישה")
SECOND: Final = ("כמה", "מספר", "רופא")
ANSWERS: Final = {"פגישה": "מחר בוקר. היום ערב.", "רופא": "טלפון חשבון.", "5": "תור."}
PHRASES: Final = {"filler": "בבקשה", "apology": "עזרה", "repeat": "למה מי", "idle": "", "goodbye": "שלום"}

WHOLE: Final = ("מחר", "בוקר", "היום", "ערב")
PART: Final = ("מחר", "בוקר")
OTHER: Final = ("טלפון", "חשבון")
FILLER: Final = ("בבקשה",)
APOLOGY: Final = ("עזרה",)
REPEAT: Final = ("למה", "מי")
LATE: Final = (*FILLER, *APOLOGY)

FILLER_S: Final = 1.5
ANSWER_S: Final = 3.5

Step = Callable[["Trial"], Awaitable[None]]


class ToolAnswer(StrEnum):
    """What becomes of the call of a tool."""

    DONE = "done"
    FAILS = "fails"  # the webhook answers 500
    HANGS = "hangs"  # the webhook answers nothing
    NOT_ASKED = "not asked"  # the model's arguments are none that the tool takes
    MODEL_STALLS = "the model stalls"  # the webhook answers, and the model says nothing more


@dataclass(frozen=True, kw_only=True)
class ReplyRow:
    """One row. `what` is a sentence for the table."""

    name: str
    what: str
    group: str
    hears: tuple[tuple[str, ...], ...]
    """What the caller may hear after the first question; a part of a reply ends at a word of it."""
    then_hears: tuple[tuple[str, ...], ...] = (OTHER, (*FILLER, *OTHER))
    """What the caller may hear after the second question, when the fault is over."""
    llm: tuple[LLMFault, ...] = ()
    voice: tuple[VoiceFault, ...] = ()
    google: tuple[Fault, ...] = ()
    dead: str = ""
    """`llm` or `voice`: the network there swallows everything."""
    held_s: float = 0.0
    """Seconds after the first question, from whose text on the caller's network has stood still, until it goes on."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    """The only key that the language model's double takes."""
    whisper: bool = False
    streaming: bool = True
    answer_s: float = ANSWER_S
    """Seconds for the first answer: a tool within its own time puts it off."""
    tool: ToolAnswer | None = None
    """The model calls a tool for the first question, whose webhook does this."""
    says: str = ""
    """Text of a line of the log."""
    replies: int = 1
    """Replies to the first question."""
    mid: Step | None = None
    """What happens once the first reply is heard."""
    interrupts: bool = False
    """The second question is said into the first reply."""
    last: bool = False
    """There is no second question: the call is over."""


def answerer(name: str, what: str, hears: tuple[tuple[str, ...], ...], **fields: Any) -> ReplyRow:
    """Return a row about the language model."""
    return ReplyRow(name=f"llm-{name}", what=what, group="answerer", hears=hears, **fields)


def voice(name: str, what: str, hears: tuple[tuple[str, ...], ...], **fields: Any) -> ReplyRow:
    """Return a row about the voice."""
    return ReplyRow(name=f"voice-{name}", what=what, group="voice", hears=hears, **fields)


def tool(name: str, what: str, hears: tuple[tuple[str, ...], ...], **fields: Any) -> ReplyRow:
    """Return a row about a tool that the model calls; its answer comes after the tool's result."""
    return ReplyRow(name=f"tool-{name}", what=what, group="tool", hears=hears, **fields)


def hearing(name: str, what: str, hears: tuple[tuple[str, ...], ...], **fields: Any) -> ReplyRow:
    """Return a row about the recognizer while the agent answers."""
    return ReplyRow(name=f"heard-{name}", what=what, group="hearing", hears=hears, **fields)


def call(name: str, what: str, hears: tuple[tuple[str, ...], ...], **fields: Any) -> ReplyRow:
    """Return a row about what happens in the call meanwhile."""
    return ReplyRow(name=f"call-{name}", what=what, group="call", hears=hears, **fields)


def _refusal(status: int, what: str, **fields: Any) -> ReplyRow:
    fault = LLMFault(kind=LLMFaultKind.REFUSE, status=status)
    return answerer(f"refuses-{status}", what, (APOLOGY,), llm=(fault,), **fields)


async def hang_up(trial: Trial) -> None:
    await trial.heard_a_word()
    trial.caller.hang_up()


async def press(trial: Trial) -> None:
    await trial.heard_a_word()
    trial.caller.press("5")


async def move(trial: Trial) -> None:
    await trial.heard_a_word()
    await trial.caller.move()


async def announce(trial: Trial) -> None:
    await trial.announce("כתובת")


def both(code: str) -> tuple[Fault, ...]:
    return tuple(Fault(kind=Kind.END, code=code, surface=surface) for surface in Surface)


def ways(*sequences: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return each sequence, alone and behind the filler."""
    return (*sequences, *((*FILLER, *each) for each in sequences))


FAILS_IN_HALF_A_SECOND: Final = ways(APOLOGY)
"""What the caller hears where each attempt takes the language model's 350 ms, or longer, to fail.

The speculative one fails about when the end of speech is known. If that is after it, one more is asked for, and the
apology comes before the filler is due; if before it, two more are asked for, and the filler comes first.
"""

K, V = LLMFaultKind, VoiceFaultKind
ROWS: Final = (
    _refusal(401, "The language model refuses the key"),
    _refusal(429, "The language model's rate limit is reached"),
    _refusal(500, "The language model's server has an error"),
    answerer(
        "refuses-once", "The server has an error once", ways(WHOLE), llm=(LLMFault(kind=K.REFUSE, status=500, times=1),)
    ),
    answerer(
        "filtered",
        "The content filter leaves no word of the answer",
        FAILS_IN_HALF_A_SECOND,
        llm=(LLMFault(kind=K.FILTERED),),
    ),
    answerer("empty", "The answer is empty", FAILS_IN_HALF_A_SECOND, llm=(LLMFault(kind=K.EMPTY),)),
    answerer(
        "stalls",
        "Nothing comes of the answer, not even a head",
        (LATE,),
        llm=(LLMFault(kind=K.STALL),),
        says="the answerer failed",
    ),
    answerer(
        "stalls-midway",
        "The answer stops after its first sentence",
        ((*PART, *LATE), (*WHOLE[:3], *LATE)),
        llm=(LLMFault(kind=K.STALL, after_tokens=6),),
        replies=2,
    ),
    answerer("answers-in-40s", "The answer comes after 40 s", (LATE,), llm=(LLMFault(kind=K.STALL, lasts_s=40),)),
    answerer("nonsense", "What comes is no JSON", FAILS_IN_HALF_A_SECOND, llm=(LLMFault(kind=K.NONSENSE),)),
    answerer("cut", "The connection is cut before the answer", (APOLOGY,), llm=(LLMFault(kind=K.CUT),)),
    answerer(
        "cut-midway",
        "The connection is cut after the first sentence",
        ways(PART, WHOLE[:3]),
        llm=(LLMFault(kind=K.CUT, after_tokens=6),),
    ),
    answerer(
        "error-midway",
        "An error comes in the stream",
        ways(PART, WHOLE[:3]),
        llm=(LLMFault(kind=K.ERROR, after_tokens=6),),
    ),
    answerer(
        "floods",
        "The answer has no end; the caller interrupts it",
        ((),),
        llm=(LLMFault(kind=K.FLOOD, after_tokens=8),),
        interrupts=True,
    ),
    answerer(
        "wrong-key",
        "The key is wrong from the beginning, in both turns",
        (APOLOGY,),
        then_hears=(APOLOGY,),
        key="the-right-key",
        settings={"answerer_api_key": "a-wrong-key"},
        says="the answerer cannot be used",
    ),
    answerer("dead-network", "The network to the language model swallows everything", (LATE,), dead="llm"),
    voice("refuses", "The voice refuses", FAILS_IN_HALF_A_SECOND, voice=(VoiceFault(kind=V.REFUSE, status=500),)),
    voice(
        "quota", "The voice's quota is spent", FAILS_IN_HALF_A_SECOND, voice=(VoiceFault(kind=V.REFUSE, status=429),)
    ),
    voice(
        "hangs",
        "The voice takes the request and gives nothing",
        (LATE,),
        voice=(VoiceFault(kind=V.HANG),),
        says="the voice failed",
    ),
    voice("empty", "The voice gives no sound", FAILS_IN_HALF_A_SECOND, voice=(VoiceFault(kind=V.EMPTY),)),
    voice("slow", "The voice begins after 6 s", (LATE,), voice=(VoiceFault(kind=V.SLOW, latency_s=6.0),)),
    voice("cut", "The voice breaks in the middle of a word", ways(PART[:1]), voice=(VoiceFault(kind=V.CUT, at_s=0.6),)),
    voice(
        "stalls",
        "The voice stops in the middle of a word",
        ((*PART[:1], *LATE),),
        voice=(VoiceFault(kind=V.STALL, at_s=0.6),),
        replies=2,
    ),
    voice(
        "header", "The voice sends a WAV file, not samples", ways(WHOLE, APOLOGY), voice=(VoiceFault(kind=V.HEADER),)
    ),
    voice("dead-network", "The network to the voice swallows everything", (LATE,), dead="voice"),
    tool("fails", "A tool's webhook has an error", ways(WHOLE), tool=ToolAnswer.FAILS),
    tool(
        "hangs",
        "A tool's webhook answers nothing in the tool's 5 s; another filler comes in the place of the apology",
        ((*FILLER, *FILLER, *WHOLE),),
        tool=ToolAnswer.HANGS,
        answer_s=7.0,
    ),
    tool(
        "not-asked",
        "The model calls a tool with arguments that it does not take",
        ways(WHOLE),
        tool=ToolAnswer.NOT_ASKED,
    ),
    tool(
        "cut",
        "The connection is cut in the middle of a tool call",
        ways(APOLOGY),
        tool=ToolAnswer.DONE,
        llm=(LLMFault(kind=K.CUT, after_tokens=3),),
    ),
    tool("then-stalls", "Nothing comes of the answer after a tool's result", (LATE,), tool=ToolAnswer.MODEL_STALLS),
    hearing("single", "Streaming is off: single requests hear the caller", ways(WHOLE), streaming=False),
    hearing(
        "refused",
        "Google refuses streams; single requests hear the caller",
        ways(WHOLE),
        google=(Fault(kind=Kind.END),),
    ),
    hearing(
        "whisper",
        "Google refuses everything; Whisper hears the caller",
        ways(WHOLE),
        google=both("UNAVAILABLE"),
        whisper=True,
    ),
    hearing(
        "nobody",
        "No recognizer is left at first; later both questions are heard, and answered as one",
        ways(REPEAT),
        then_hears=ways(WHOLE),  # the language model's double answers the first question that it knows
        google=both("UNAVAILABLE"),
    ),
    hearing("silent", "Google's streams hear nothing", ways(WHOLE, REPEAT), google=(Fault(kind=Kind.SILENCE),)),
    call(
        "no-budget",
        "No attempt may begin before the end of speech",
        ways(WHOLE),
        settings={"speculative_attempts_per_minute": 0},
    ),
    call("announced", "A program announces something meanwhile", ways((*WHOLE, "כתובת")), mid=announce, replies=2),
    call(
        "keys",
        "The caller presses a key while the agent speaks, which is a turn",
        ways((*PART[:1], "תור"), (*PART, "תור")),
        mid=press,
        replies=2,
    ),
    call(
        "held-up",
        "The caller's network stands still before the end of speech is known, for 3.6 s; then all comes at once",
        (WHOLE,),
        held_s=4.0,
        answer_s=4.0 + FILLER_S,
    ),
    call("hangs-up", "The caller hangs up while the agent speaks", ways(PART[:1], PART), mid=hang_up, last=True),
    call(
        "second-stream",
        "Another stream of the call takes over while the agent speaks",
        ways(PART[:1], PART),
        mid=move,
    ),
)
GROUPS: Final = {
    "answerer": "The language model",
    "voice": "The voice",
    "tool": "A tool that the model calls",
    "hearing": "The recognizer, while the agent answers",
    "call": "What happens in the call meanwhile",
}


def named(name: str) -> ReplyRow:
    """Return the row of that name."""
    return next(row for row in ROWS if row.name == name)
