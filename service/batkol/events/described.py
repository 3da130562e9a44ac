"""The meaning of every event and field, once: for JSON Schema, AsyncAPI and docs/agents.md.

A test holds it to the structs (`batkol.events.events`), to the page, and to what real calls publish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class EventDescription(NamedTuple):
    """One event: when it comes, and its own fields by their names on the wire."""

    when: str
    fields: Mapping[str, str]


COMMON: Final = {
    "type": "The name of the event.",
    "id": "`{stream_sid}-{seq}`: no other event of any call has it, and it is the same wherever the event is shown.",
    "call_sid": "Twilio's SID of the call.",
    "stream_sid": "Twilio's SID of the media stream. A call has another one after a transfer or a deploy.",
    "seq": "Counts the stream's events from 1, without a gap.",
    "at": "Unix time in seconds at which the event was made, by the pod's clock.",
}
"""The fields of every event."""

_UTTERANCE: Final = {
    "utterance_id": "`{call_sid}-{index}`. With `stream_sid` it is unique: each stream counts from 0.",
    "index": "Counts the stream's utterances from 0.",
}
_REPLY: Final = {
    "reply_id": "The agent's reply (`{stream_sid}-r1`), or the announcement (`{stream_sid}-a1`) as `say` returned it.",
    "turn": "Counts the replies that the caller heard in this stream from 1; 0: nothing of it was heard.",
}

EVENTS: Final[Mapping[str, EventDescription]] = {
    "call.started": EventDescription(
        "A stream of the call has begun. It is the first event of its stream.",
        {
            "agent": "The agent that the call is for: `VOICE_AGENT`, or the name of the `VoiceAgent` resource.",
            "direction": "`inbound`, or what Twilio says; `browser` for a call from the console's phone, `rehearsal` "
            "for one of `batkol gonogo`.",
            "streaming": "The value of the flag `streaming-stt` at that moment.",
            "from": "The caller's number; empty if it is withheld.",
            "to": "The number that was called.",
            "parameters": "The custom parameters of the TwiML's `<Stream>`, except the service's own.",
            "stream": "Counts the streams of the call from 1; a number is left out where a pod refused the stream.",
        },
    ),
    "utterance.started": EventDescription(
        "The caller speaks, or a recognizer found words that the detector did not notice.",
        {
            **_UTTERANCE,
            "begin_ms": "The beginning of the utterance's audio, with `VAD_PRE_ROLL_MS` before the speech.",
            "speech_ms": "The first sample of speech.",
            "mode": "`streaming` or `single`: how the utterance is recognized.",
            "flag_variant": "The variant of the flag `streaming-stt` that decided it; null without a flag.",
            "flag_reason": "Why the flag had that value (`STATIC`, `TARGETING_MATCH`, …); null without a flag.",
            "recognizer": "The streaming recognizer that hears the call at that moment, such as `google-v1/default`; "
            "empty where a single request hears the utterance.",
        },
    ),
    "partial": EventDescription(
        "The utterance has more words, or other ones; at most one every `STT_PARTIAL_DEBOUNCE_MS`.",
        {
            **_UTTERANCE,
            "text": "The whole text of the utterance so far. It may change.",
            "stability": "The recognizer's estimate from 0 to 1 that the text stays as it is; 0 if it gives none.",
            "number": "Counts the utterance's partials from 1. A slow reader misses some.",
            "recognizer": "The streaming recognizer that gave the text.",
        },
    ),
    "tentative": EventDescription(
        "The caller is quiet, and the newest text reaches the end of the speech. Begin work that can be thrown away.",
        {
            **_UTTERANCE,
            "number": "Counts the utterance's tentatives from 1. A slow reader misses some.",
            "text": "What was said, as far as it is known.",
            "end_ms": "The audio that the text reaches to.",
        },
    ),
    "withdrawn": EventDescription(
        "The tentative that stands no longer holds. Where a final replaces a tentative, no `withdrawn` comes.",
        {
            **_UTTERANCE,
            "number": "The number of the tentative.",
            "reason": "`speech`: the caller speaks again. `text`: the newest text says something else.",
        },
    ),
    "utterance.ended": EventDescription(
        "The caller was silent for the whole hang-over (`VAD_SILENCE_MS`). The final is still to come, as a rule.",
        {**_UTTERANCE, "end_ms": "The last sample of speech."},
    ),
    "final": EventDescription(
        "The text of the utterance. It comes once for each utterance, and no reader misses it.",
        {
            **_UTTERANCE,
            "text": "What was said; empty if no recognizer made out a word.",
            "source": "`final`, `interim` (promoted), `single`, `whisper`, or `none`.",
            "mode": "`streaming` or `single`.",
            "begin_ms": "As in `utterance.started`.",
            "end_ms": "The last sample of speech.",
            "words": "The number of words.",
            "partials": "The number of partials that came before.",
            "first_partial_ms": "From the first sample of speech to the first partial; null without partials.",
            "latency_ms": "From the last sample of speech to this event.",
            "unvoiced": "True if no speech was detected in the audio. Keep the text, and do not reply to it.",
            "unconfirmed": "True if the text was an interim in which another recognizer made out no word.",
            "confirms": "The number of the standing tentative if that says the same; else null.",
            "recognizer": "The streaming recognizer that gave the text, such as `google-v1/default`; else empty.",
            "trace_id": "The trace of the utterance, and of the reply to it; null if there is none.",
        },
    ),
    "revised": EventDescription(
        "A correction of the record after the final. Do not reply to it.",
        {
            **_UTTERANCE,
            "text": "The corrected text; empty if the recognizer took the words back.",
            "latency_ms": "From the last sample of speech to this event.",
            "unconfirmed": "True if the text is as before, and another recognizer made out no word of it.",
        },
    ),
    "reply.started": EventDescription(
        "The first sound of a reply was written to the caller's line.",
        {
            **_REPLY,
            "phrase": "The phrase, such as `greeting`, of a reply that the agent says by itself; else null.",
            "latency_ms": "From the caller's last sample of speech; null if the reply answers no speech.",
        },
    ),
    "reply.sentence": EventDescription(
        "The playing of a piece of the reply begins, by the clock of the line.",
        {
            **_REPLY,
            "index": "Counts the reply's pieces from 0.",
            "text": "The piece.",
            "begin_ms": "From the reply's first sample.",
        },
    ),
    "reply.interrupted": EventDescription(
        "The reply was interrupted, by the caller or by `clear`: the line is silent.",
        {**_REPLY, "heard": "The words that reached the caller's ear so far."},
    ),
    "reply.resumed": EventDescription(
        "The interruption had no words, and the reply goes on.",
        {**_REPLY, "index": "The piece from which it goes on."},
    ),
    "reply.ended": EventDescription(
        "The reply is over. Put `heard`, and not `intended`, into the history of a language model.",
        {
            **_REPLY,
            "intended": "The whole text of the reply, as far as it was made.",
            "heard": "The words that reached the caller's ear.",
            "interrupted": "True if it was cut: by the caller for good, by `clear`, or by the end of the call.",
            "fault": "The fault that kept the rest of it from being spoken, such as `voice: cut_off`; else null.",
            "latency_ms": "From the caller's last sample of speech to the first sound; null as in `reply.started`.",
            "text_ms": "The part of it until the answerer was asked.",
            "first_token_ms": "The part until its first token.",
            "first_piece_ms": "The part until its first piece to speak.",
            "first_sound_ms": "The part until the first sound of that piece.",
            "commit_ms": "The part until the end of speech was known, and the sound was written.",
            "kind": "`answer`, `phrase` of the agent's own, or `announcement`.",
            "answerer": (
                "The answerer that gave the text: its kind, such as `openai`, or its name in `ANSWERERS` where one of "
                "several may answer (`hedged`, `then`); empty if none was asked."
            ),
            "voice": (
                "The voice that spoke it, by its kind; where the one behind it took over, that one, or both with a "
                "comma between; empty if that is not known."
            ),
            "answerer_variant": "The name of the answerer in the settings, such as `default`; empty if none was asked.",
            "voice_variant": "The name of the voice in the settings, such as `default`; empty if that is not known.",
            "attempts": "How often an answerer was asked since the reply before, thrown-away attempts included.",
            "prompt_tokens": "The tokens of all questions that it took; 0 if the answerer does not say.",
            "completion_tokens": "The tokens of all their answers; 0 if the answerer does not say.",
        },
    ),
    "reply.failed": EventDescription(
        "The answerer or the voice failed, or an announcement was thrown away before its first sound. What was heard "
        "before stands.",
        {
            **_REPLY,
            "reply_id": "The reply; empty if no sound of the agent's was written. It is the end of an announcement.",
            "part": (
                "`answerer`, `voice`, or `line` for an announcement that was thrown away, and for an answer that "
                "waited in the line until the call had to end (`stalled`)."
            ),
            "reason": (
                "A short word for the fault, such as `rate_limited`, or `stalled` for a reply that was given up; of "
                "`line`: `interrupted`, `cleared`, `closing` or `defect`."
            ),
        },
    ),
    "tool.called": EventDescription(
        "A tool that the answerer called has ended, well or not. Nothing is carried out before the caller's turn is "
        "over.",
        {
            "turn": "The turn of the reply that the tool call belongs to. The caller may hear nothing of that reply.",
            "name": "The name of the tool; `unknown` if the agent has no tool of that name.",
            "arguments": "The arguments, JSON in a text, as the language model wrote them.",
            "outcome": (
                "`done`, `refused` (wrong arguments: it was not carried out), `failed`, `too_slow`, or `cancelled` by "
                "the end of the call."
            ),
            "duration_ms": "From its begin to its end.",
            "result": "The result as the language model read it: its first 4,000 characters.",
        },
    ),
    "dtmf": EventDescription("The caller pressed a key.", {"digit": "`0`–`9`, `*` or `#`."}),
    "mark": EventDescription(
        "Twilio played everything before a mark, or dropped it for a `clear`.",
        {"name": "The name that was given to the mark."},
    ),
    "call.ended": EventDescription(
        "The stream is done: no event of it follows. The call goes on if another stream has begun, or begins later.",
        {
            "reason": (
                "`stop`, `closed`, `dropped`, `replaced`, `refused`, `drained`, `pod_left` (a call from the console's "
                "phone ends with its pod), `hung_up` (the agent or the API), "
                "`transferred`, `longest_call`, `tokens_spent`, `minutes_spent`, `characters_spent` (a limit), "
                "`error`, or the reason for which the service gave a peer up. After `drained` and `replaced` the call "
                "goes on in another stream."
            ),
            "duration_s": "The duration of the stream.",
            "utterances": "The number of utterances.",
            "words": "The number of words in all finals.",
            "finals": "The number of finals by `source`.",
            "fallbacks": "How often another recognizer took over.",
            "sessions": "The number of streaming sessions that were opened.",
            "gap_ms": "Silence that stands for audio which never came.",
            "close_code": "The code with which the WebSocket was closed; null if the peer was gone.",
            "rotations": "Streams to the recognizer that were replaced by plan.",
            "reconnects": "Streams to the recognizer that were replaced after a fault.",
            "audio_dropped_ms": "Audio that a stalled recognizer did not take in time.",
        },
    ),
}
"""By the name of the event, in the order in which a call has them."""

FEED: Final[Mapping[str, EventDescription]] = {
    "gap": EventDescription(
        "Events may be missing here: the service does not keep all that was asked for, or the cursor is another "
        "process's. Read a snapshot, and go on with the stream that is open. It comes whatever `?type=` says.",
        {"missed_from": "The cursor that was asked for."},
    ),
    "peers": EventDescription(
        "Only with `?scope=fleet`: the first event of the stream, and again when a pod comes, goes or is silent.",
        {"peers": "Each pod of the agent: `pod`, its name; `reachable`; `why`, a sentence where it cannot be asked."},
    ),
}
"""Events of the feed itself, which belong to no call and have no other fields."""
