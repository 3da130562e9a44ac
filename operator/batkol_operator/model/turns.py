"""The thresholds of turns: `spec.reply.interruption`, `idle` and `turns`. All are live.

`interruption` and `idle` travel in `reply.json`, the others in the section `turns` of `tuning.json`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.part import ResourcePart, ResourceRule, listed

TurnWord = Annotated[str, StringConstraints(min_length=1, max_length=50)]

FILLER_MS: Final = 1500
APOLOGY_MS: Final = 3500
"""The service's own, for the rule about both."""


def _milliseconds(text: str, default: int) -> Any:
    """Return a live field for a threshold; `default` is the service's own."""
    return Field(None, ge=0, le=60_000, description=f"Live. {text}, in milliseconds; absent: {default}.")


class InterruptionSpec(ResourcePart):
    """Settings for callers who speak while the agent does."""

    milliseconds: int | None = Field(
        None, ge=0, le=60_000, description="Live. Speech that interrupts the agent, in milliseconds; absent: 380."
    )
    words: int | None = Field(
        None, ge=0, le=20, description="Live. Words that interrupt, backchannel words not counted; absent: 2."
    )
    false_interruptions: int | None = Field(
        None,
        ge=0,
        le=20,
        description="Live. Interruptions without words in a call, after which only words interrupt; absent: 2.",
    )
    backchannel_words: tuple[TurnWord, ...] | None = Field(
        None,
        max_length=500,
        json_schema_extra=listed("set"),
        description="Live. Words such as `כן` that show that the caller listens and interrupt nothing; absent: the "
        "service's list.",
    )
    stop_words: tuple[TurnWord, ...] | None = Field(
        None,
        max_length=500,
        json_schema_extra=listed("set"),
        description="Live. Words that interrupt at once; absent: the service's list.",
    )


class IdleSpec(ResourcePart):
    """Settings for callers who are silent after a reply."""

    milliseconds: int | None = Field(
        None,
        ge=0,
        le=60_000,
        description="Live. Silence after which the agent asks whether the caller is still there, in milliseconds; 0: "
        "never; absent: 10000.",
    )
    prompts: int | None = Field(
        None, ge=0, le=20, description="Live. Such questions before the agent says goodbye; absent: 1."
    )


class TurnsSpec(ResourcePart):
    """Thresholds of the turns between a caller and the agent."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"(has(self.apologyMilliseconds) ? self.apologyMilliseconds : {APOLOGY_MS}) > "
            f"(has(self.fillerMilliseconds) ? self.fillerMilliseconds : {FILLER_MS})",
            holds=lambda part: (
                (APOLOGY_MS if part.apology_milliseconds is None else part.apology_milliseconds)
                > (FILLER_MS if part.filler_milliseconds is None else part.filler_milliseconds)
            ),
            message="must be more than `fillerMilliseconds`: the apology comes after the filler. Where one of the two "
            f"is absent, the filler comes at {FILLER_MS} and the apology at {APOLOGY_MS}",
            field=".apologyMilliseconds",
        ),
    )

    guess_quiet_milliseconds: int | None = _milliseconds(
        "From the caller's last sound until the answerer is asked before the end of speech is known", 150
    )
    keep_attempt_milliseconds: int | None = _milliseconds(
        "Speech that goes on keeps such an attempt so long, because it may be a breath", 150
    )
    unfinished_milliseconds: int | None = _milliseconds("Wait after words that need another word behind them", 400)
    dictation_milliseconds: int | None = _milliseconds("Wait while the caller dictates digits", 900)
    rejoin_milliseconds: int | None = _milliseconds(
        "New speech before the reply: without words by then the reply goes on", 350
    )
    filler_milliseconds: int | None = _milliseconds("From the caller's last sound until the filler", FILLER_MS)
    apology_milliseconds: int | None = _milliseconds(
        "From the caller's last sound until the apology; must be more than `fillerMilliseconds`", APOLOGY_MS
    )
    tools_text_milliseconds: int | None = _milliseconds(
        "Time that tool calls wait behind the end of the turn for the final of its words", 600
    )
    wordless_milliseconds: int | None = _milliseconds(
        "Time for words after an interruption; without words by then the reply goes on", 1200
    )
    standing_milliseconds: int | None = _milliseconds(
        "An interim result that stands so long, in speech that goes on, ends the caller's turn", 1200
    )
    standing_final_milliseconds: int | None = _milliseconds("The same for a final", 700)
    give_way_milliseconds: int | None = _milliseconds(
        "Speech without a new word for so long gives way to an announcement", 4000
    )
    late_answer_milliseconds: int | None = _milliseconds("A yes so shortly before the end of the reply answers it", 700)
    quiet_line_milliseconds: int | None = _milliseconds(
        "Silence after which music or a television counts as over", 2000
    )
    keys_pause_milliseconds: int | None = _milliseconds(
        "Pause after a key of the telephone; then the entry is over", 2000
    )
    ending_milliseconds: int | None = _milliseconds(
        "For what is said before the call ends, and as long again for the goodbye", 30000
    )
    transfer_milliseconds: int | None = _milliseconds(
        "For Twilio to take a transferred caller; then the conversation goes on", 20000
    )
    guesses: int | None = Field(
        None, ge=0, le=20, description="Live. Attempts in an utterance before its end; absent: 3."
    )
    keys_interrupt: bool | None = Field(
        None, description="Live. Whether a key of the telephone ends what is said; absent: true."
    )
