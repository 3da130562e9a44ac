"""Events of a call, as its subscribers and the internal API see them.

Every event carries the SIDs of its call and its stream, a sequence number that counts the stream's events from 1, an
id made of the two, and the wall-clock time it was made. A call may have several streams, one after another: an older
one's last finals may come when a newer one has begun, so an utterance is known by its stream and its index. Audio times
are milliseconds since the stream's first sample.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from batkol.rights import Right

RIGHT: Final = "right"
"""Key in the `extra` of a field's `Meta`: the right without which a reader sees the field empty."""

Words = Annotated[str, msgspec.Meta(extra={RIGHT: Right.TEXTS})]
"""Words that were said, heard or typed."""
PhoneNumber = Annotated[str, msgspec.Meta(extra={RIGHT: Right.NUMBERS})]
"""A telephone number."""
Parameters = Annotated[dict[str, str], msgspec.Meta(extra={RIGHT: Right.NUMBERS})]
"""Values that the user's own TwiML gave: whatever they are, they may name the caller."""


def event_id(stream_sid: str, seq: int) -> str:
    """Return the id of an event: no other event of any call has it, and it is the same wherever the event is shown."""
    return f"{stream_sid}-{seq}"


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all events; `type` is their name on the wire."""

    call_sid: str
    seq: int
    at: float  # Unix seconds
    stream_sid: str = ""
    id: str = ""  # made here: `event_id` of the stream and the number

    def __post_init__(self) -> None:
        """Make the id; one that was read from the wire stays."""
        if not self.id:
            msgspec.structs.force_setattr(self, "id", event_id(self.stream_sid, self.seq))


class CallStarted(Event, frozen=True, tag="call.started"):
    """A stream of the call has begun."""

    agent: str
    direction: str
    streaming: bool  # the flag's value when the call began
    from_: PhoneNumber = msgspec.field(default="", name="from")
    to: PhoneNumber = ""
    parameters: Parameters = {}  # of the stream, but for the service's own
    stream: int = 1  # the number of this stream among the call's, from 1


class UtteranceEvent(Event, frozen=True):
    utterance_id: str
    index: int


class UtteranceStarted(UtteranceEvent, frozen=True, tag="utterance.started"):
    begin_ms: int  # with the pre-roll
    speech_ms: int  # without it
    mode: str
    flag_variant: str | None
    flag_reason: str | None
    recognizer: str = ""  # the streaming one that hears the call as it begins; empty with a single request


class UtteranceEnded(UtteranceEvent, frozen=True, tag="utterance.ended"):
    """The caller was silent for the whole hang-over; the final is still to come.

    An utterance that the detector did not notice has a start and a final, and no end.
    """

    end_ms: int  # the last sample of speech


class PartialText(UtteranceEvent, frozen=True, tag="partial"):
    text: Words
    stability: float
    number: int  # of this utterance's partials, from 1
    recognizer: str = ""  # the streaming one that gave the text


class TentativeText(UtteranceEvent, frozen=True, tag="tentative"):
    """The caller is quiet, and this is what was said, as far as it is known. At most one stands in a call.

    It stands until a `withdrawn` with its number, or the final of its utterance.
    """

    number: int  # of this utterance's tentatives, from 1
    text: Words
    end_ms: int  # the audio that the text reaches to


class TentativeWithdrawn(UtteranceEvent, frozen=True, tag="withdrawn"):
    """The tentative of that number no longer holds. It is not sent where a final replaces a tentative."""

    number: int
    reason: str  # speech: the caller speaks again | text: the newest text says something else


class FinalText(UtteranceEvent, frozen=True, tag="final"):
    text: Words
    source: str  # final | interim | single | whisper | none
    mode: str
    begin_ms: int
    end_ms: int
    words: int
    partials: int
    first_partial_ms: float | None  # from the first sample of speech
    latency_ms: float  # from the last sample of speech
    unvoiced: bool = False  # no speech was detected in its audio: keep the text, never reply to it
    unconfirmed: bool = False  # an interim in which another recognizer made out no word
    confirms: int | None = None  # the number of the standing tentative, if that says the same
    recognizer: str = ""  # the streaming one that gave the text; empty where another source did
    trace_id: str | None = None  # of the utterance's trace; None without one


class RevisedText(UtteranceEvent, frozen=True, tag="revised"):
    """A revision after the final: it corrects the record, and no reply of which the caller has heard anything.

    Empty where the recognizer took back the words of a promoted interim. With `unconfirmed` the text is the same as
    before, and another recognizer made out no word of it.
    """

    text: Words
    latency_ms: float
    unconfirmed: bool = False


class ReplyEvent(Event, frozen=True):
    reply_id: str
    turn: int  # of the replies that the caller heard in this stream, from 1; 0: nothing was heard


class ReplyStarted(ReplyEvent, frozen=True, tag="reply.started"):
    """The first sound of a reply was written. `phrase` is that of a reply of the agent's own, such as the greeting."""

    phrase: str | None
    latency_ms: float | None  # from the caller's last sample of speech; of an answer only


class ReplySentence(ReplyEvent, frozen=True, tag="reply.sentence"):
    """The playing of a piece of the reply begins, by the playout's clock."""

    index: int  # of the reply's pieces, from 0
    text: Words
    begin_ms: int  # since the reply's first sample


class ReplyInterrupted(ReplyEvent, frozen=True, tag="reply.interrupted"):
    """The caller interrupted the reply: it is silent."""

    heard: Words


class ReplyResumed(ReplyEvent, frozen=True, tag="reply.resumed"):
    """The interruption had no words: the reply goes on from that piece."""

    index: int


class ReplyEnded(ReplyEvent, frozen=True, tag="reply.ended"):
    """The reply is over."""

    intended: Words
    heard: Words  # what the caller heard of it, to a word
    interrupted: bool
    latency_ms: float | None  # from the caller's last sample to its first sound, and the parts of that
    text_ms: float | None  # until the answerer was asked
    first_token_ms: float | None
    first_piece_ms: float | None
    first_sound_ms: float | None
    commit_ms: float | None  # until the end of speech was known, and the sound was written
    fault: str | None = None  # what kept the rest of it from being spoken, such as `voice: cut_off`
    kind: str = "answer"  # answer | phrase | announcement
    answerer: str = ""  # empty where none was asked, or that is not known
    voice: str = ""
    answerer_variant: str = ""  # the names of both in the settings, such as `default`
    voice_variant: str = ""
    attempts: int = 0  # that were asked for since the reply before, thrown away or not; of an announcement 0
    prompt_tokens: int = 0  # of all its questions, as the answerer counts them; 0 where it does not say
    completion_tokens: int = 0


class ReplyFailed(ReplyEvent, frozen=True, tag="reply.failed"):
    """The answerer or the voice failed, or an announcement was thrown away before its first sound.

    What was heard before stands, and a `reply.ended` follows; `reply_id` is empty if nothing was. An announcement's
    `reply_id` is always there, and this is its end: nothing of it is heard.
    """

    part: str  # answerer | voice | line
    reason: str  # of `line`: interrupted | cleared | closing | defect


class ToolCalled(Event, frozen=True, tag="tool.called"):
    """A tool that the answerer called has ended, well or not: after the caller's turn was over."""

    turn: int  # of the reply that it belongs to
    name: str
    arguments: Words  # JSON, as the model wrote it
    outcome: str  # done | refused | failed | too_slow | cancelled
    duration_ms: float
    result: Words = ""  # as the model read it


class KeyPressed(Event, frozen=True, tag="dtmf"):
    digit: Words


class MarkPlayed(Event, frozen=True, tag="mark"):
    """Twilio played what came before this mark, or dropped it for a `clear`."""

    name: str


class CallEnded(Event, frozen=True, tag="call.ended"):
    """A stream of the call is done. The call goes on if another one has begun, or begins later."""

    reason: str  # stop | closed | dropped | replaced | refused | drained | pod_left | hung_up | error, or a `PeerFault`
    duration_s: float
    utterances: int
    words: int
    finals: dict[str, int]  # by source
    fallbacks: int
    sessions: int  # streaming sessions opened
    gap_ms: int
    close_code: int | None
    rotations: int = 0  # streams replaced by plan
    reconnects: int = 0  # streams replaced after a fault
    audio_dropped_ms: int = 0  # that a stalled recognizer did not take in time


AnyEvent = (
    CallStarted
    | UtteranceStarted
    | UtteranceEnded
    | PartialText
    | TentativeText
    | TentativeWithdrawn
    | FinalText
    | RevisedText
    | ReplyStarted
    | ReplySentence
    | ReplyInterrupted
    | ReplyResumed
    | ReplyEnded
    | ReplyFailed
    | ToolCalled
    | KeyPressed
    | MarkPlayed
    | CallEnded
)


class FeedGap(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """An event of the feed, and of no call: events may be missing here. A snapshot has what they said."""

    missed_from: str  # the cursor that the reader gave


_ENCODER: Final = msgspec.json.Encoder()


def encode(event: Event | FeedGap) -> bytes:
    """Return the event as JSON."""
    return _ENCODER.encode(event)
