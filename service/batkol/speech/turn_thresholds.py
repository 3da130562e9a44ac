"""Thresholds of the turns between a caller and the agent: milliseconds and counts."""

from __future__ import annotations

import msgspec


class TurnThresholds(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds in force; each may be tuned while calls are up."""

    guess_quiet_ms: int = 150  # from the caller's last sample until the answerer is asked before the end of speech
    keep_attempt_ms: int = 150  # speech that goes on keeps the attempt so long: it may be a breath
    unfinished_ms: int = 400  # wait after an ending that needs another word
    dictation_ms: int = 900  # wait while digits are dictated
    rejoin_ms: int = 350  # new speech before the reply: without words by then the reply goes on
    filler_ms: int = 1500  # after the caller's last sample
    apology_ms: int = 3500  # after the caller's last sample
    tools_text_ms: int = 600  # tool calls wait so long behind the commit for the final of their words
    wordless_ms: int = 1200  # an interruption without words by then was none
    standing_ms: int = 1200  # an interim that stands so long, in speech that goes on, is all there is
    standing_final_ms: int = 700  # the same for a final
    give_way_ms: int = 4000  # speech without a new word gives way to an announcement after that
    late_answer_ms: int = 700  # a "yes" so shortly before the end of the reply answers it
    quiet_line_ms: int = 2000  # silence after which music or a television is taken to be over
    idle_ms: int = 10_000  # silence after the reply; 0: never
    keys_pause_ms: int = 2000  # after a key; then the entry is over
    ending_ms: int = 30_000  # for what is said when the call is to end, and as long again for the goodbye
    transfer_ms: int = 20_000  # for Twilio to take a transferred caller; then the conversation goes on
    interruption_ms: int = 380  # speech that interrupts, from its first window to its last loud one
    interrupt_words: int = 2  # words, other than backchannel words, that interrupt
    guesses: int = 3  # attempts in an utterance before its end
    idle_prompts: int = 1  # before the agent says goodbye
    false_interruptions: int = 2  # in a call; after them only words interrupt
    keys_interrupt: bool = True  # whether a key ends what is said

    @property
    def patience_s(self) -> float:
        """Seconds from the filler to the apology: so long an answer may take after tools, or a late filler."""
        return (self.apology_ms - self.filler_ms) / 1000

    def __post_init__(self) -> None:
        if self.apology_ms <= self.filler_ms:
            raise ValueError(
                f"the apology must come after the filler, not at {self.apology_ms} ms with the filler at "
                f"{self.filler_ms} ms"
            )
