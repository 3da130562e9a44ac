"""Names in the traces: OpenTelemetry's where they exist, Batkol's own under `batkol.` where they do not.

From the semantic conventions package (0.66b2, release 1.44): gen_ai (development), rpc and feature_flag (release
candidates), k8s and service. The package spells the status of a gRPC call `rpc.response.status_code`; the next release
calls it `rpc.status_code`. A feature flag's evaluation is to be an event of the logs there, which no trace viewer
shows; here it is an event of the span that it decided about, under the same name and attributes.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.semconv._incubating.attributes import (
    feature_flag_attributes as flag,
)
from opentelemetry.semconv._incubating.attributes import (
    gen_ai_attributes as gen_ai,
)
from opentelemetry.semconv._incubating.attributes import (
    k8s_attributes as k8s,
)
from opentelemetry.semconv._incubating.attributes import (
    rpc_attributes as rpc,
)
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes, service_attributes

# -- spans ---------------------------------------------------------------------------------------------------------

UTTERANCE: Final = "utterance"
SPEECH_TO_TEXT: Final = "speech_to_text"  # and the model: `speech_to_text default`
ENDPOINTING: Final = "endpointing"
SINGLE_REQUEST: Final = "single_request"
WHISPER: Final = "whisper"
CALL: Final = "call"
REPLY: Final = "agent"  # of a reply: up to its first sound
LLM: Final = "llm"
TTS: Final = "tts"
TOOL: Final = "tool"  # of a tool call
SERVICE: Final = "google.cloud.speech.v1p1beta1.Speech"
STREAMING_RECOGNIZE: Final = f"{SERVICE}/StreamingRecognize"
RECOGNIZE: Final = f"{SERVICE}/Recognize"

# -- events --------------------------------------------------------------------------------------------------------

PARTIAL: Final = "partial"
PROMOTED: Final = "promoted"
REVISED: Final = "revised"
ROTATED: Final = "stream.rotated"
RECONNECTED: Final = "stream.reconnected"
RECOGNIZER_CHANGED: Final = "recognizer.changed"
FELL_BACK: Final = "fallback"
FLIPPED: Final = "flag.flipped"
EVALUATED: Final = "feature_flag.evaluation"
AUDIO_DROPPED: Final = "audio.dropped"
SILENCE_NOTICED: Final = "silence.noticed"
SESSION_OPENED: Final = "session.opened"
SESSION_CLOSED: Final = "session.closed"
LINE_ACTION: Final = "line.action"
ATTEMPT_DROPPED: Final = "attempt.dropped"
SPECULATION_REFUSED: Final = "speculation.refused"
FILLER_SAID: Final = "filler.said"

# -- attributes that have a convention -----------------------------------------------------------------------------

OPERATION: Final = gen_ai.GEN_AI_OPERATION_NAME
PROVIDER: Final = gen_ai.GEN_AI_PROVIDER_NAME
MODEL: Final = gen_ai.GEN_AI_REQUEST_MODEL
CONVERSATION: Final = gen_ai.GEN_AI_CONVERSATION_ID
AGENT_NAME: Final = gen_ai.GEN_AI_AGENT_NAME
STREAMED: Final = gen_ai.GEN_AI_REQUEST_STREAM
FIRST_CHUNK_S: Final = gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK
CHAT: Final = gen_ai.GenAiOperationNameValues.CHAT.value
INVOKE_AGENT: Final = gen_ai.GenAiOperationNameValues.INVOKE_AGENT.value
EXECUTE_TOOL: Final = gen_ai.GenAiOperationNameValues.EXECUTE_TOOL.value
TOOL_NAME: Final = gen_ai.GEN_AI_TOOL_NAME
TOOL_ARGUMENTS: Final = gen_ai.GEN_AI_TOOL_CALL_ARGUMENTS
"""Only with OTEL_CAPTURE_TRANSCRIPTS=true."""
TEXT_TO_SPEECH: Final = "text_to_speech"
"""Proposed beside `speech_to_text`; the released names have neither."""
OPENAI: Final = gen_ai.GenAiProviderNameValues.OPENAI.value
GOOGLE: Final = "gcp.gen_ai"
"""The registry has no value for Cloud Speech; this is what others report it under."""
GOOGLE_V1: Final = "google-v1"
"""The first half of the names of Google's streaming recognizers."""

RPC_SYSTEM: Final = rpc.RPC_SYSTEM_NAME
RPC_METHOD: Final = rpc.RPC_METHOD
RPC_STATUS: Final = rpc.RPC_RESPONSE_STATUS_CODE
GRPC: Final = "grpc"
SERVER_ADDRESS: Final = server_attributes.SERVER_ADDRESS
SERVER_PORT: Final = server_attributes.SERVER_PORT
HTTP_STATUS: Final = http_attributes.HTTP_RESPONSE_STATUS_CODE
ERROR_TYPE: Final = error_attributes.ERROR_TYPE

FLAG_KEY: Final = flag.FEATURE_FLAG_KEY
FLAG_VARIANT: Final = flag.FEATURE_FLAG_RESULT_VARIANT
FLAG_VALUE: Final = flag.FEATURE_FLAG_RESULT_VALUE
FLAG_REASON: Final = flag.FEATURE_FLAG_RESULT_REASON
FLAG_PROVIDER: Final = flag.FEATURE_FLAG_PROVIDER_NAME
FLAG_CONTEXT: Final = flag.FEATURE_FLAG_CONTEXT_ID

SERVICE_NAME: Final = service_attributes.SERVICE_NAME
SERVICE_VERSION: Final = service_attributes.SERVICE_VERSION
SERVICE_INSTANCE: Final = service_attributes.SERVICE_INSTANCE_ID
POD_NAME: Final = k8s.K8S_POD_NAME

# -- Batkol's own --------------------------------------------------------------------------------------------------

CALL_SID: Final = "batkol.call.sid"
STREAM_SID: Final = "batkol.stream.sid"  # Twilio's media stream
AGENT: Final = "batkol.agent"
DIRECTION: Final = "batkol.call.direction"
END_REASON: Final = "batkol.call.end_reason"
ACTION: Final = "batkol.line.action"
ACTION_OUTCOME: Final = "batkol.line.outcome"
CLOSE_CODE: Final = "batkol.call.close_code"
GAP_MS: Final = "batkol.call.gap_ms"
UTTERANCES: Final = "batkol.call.utterances"

UTTERANCE_ID: Final = "batkol.utterance.id"
UTTERANCE_INDEX: Final = "batkol.utterance.index"
SPEECH_MS: Final = "batkol.utterance.speech_ms"  # from first to last sample of speech
WORDS: Final = "batkol.utterance.words"
PARTIALS: Final = "batkol.utterance.partials"
MODE: Final = "batkol.stt.mode"
RECOGNIZER: Final = "batkol.stt.recognizer"  # the name of a streaming one
RECOGNIZER_BEFORE: Final = "batkol.stt.recognizer_before"
SOURCE: Final = "batkol.stt.final_source"
FIRST_PARTIAL_MS: Final = "batkol.stt.first_partial_ms"
FINAL_MS: Final = "batkol.stt.final_latency_ms"
BRIDGED_MS: Final = "batkol.stt.bridged_ms"  # audio heard again across a seam between two streams
NOTICED_MS: Final = "batkol.endpointing.noticed_ms"  # from the last sample of speech to the detector's word
BATCH_MS: Final = "batkol.tuning.batch_ms"
DEBOUNCE_MS: Final = "batkol.tuning.debounce_ms"
REVISION: Final = "batkol.tuning.revision"

INDEX: Final = "batkol.partial.index"
CHARACTERS: Final = "batkol.partial.characters"
STABILITY: Final = "batkol.partial.stability"
AUDIO_MS: Final = "batkol.audio_ms"  # audio time: since the call began
STEP: Final = "batkol.fallback.step"
REASON: Final = "batkol.reason"
OUTCOME: Final = "batkol.answer.outcome"
WHY: Final = "batkol.rotation.why"
OVERLAP_MS: Final = "batkol.rotation.overlap_ms"
BEFORE: Final = "batkol.flag.before"

RPC_NUMBER: Final = "batkol.rpc.number"  # of the call's streams to Google
RPC_ENDED: Final = "batkol.rpc.ended_by"
RPC_AUDIO_S: Final = "batkol.rpc.audio_s"
RPC_SKIPPED_MS: Final = "batkol.rpc.skipped_ms"
RPC_ANSWERED: Final = "batkol.rpc.answered"
TOOK_OVER: Final = "batkol.rpc.took_over_after"  # rotation, or the reason of a fault

REPLY_ID: Final = "batkol.reply.id"
REPLY_TURN: Final = "batkol.reply.turn"
REPLY_KIND: Final = "batkol.reply.kind"  # `answer`, `announcement`, or the phrase
REPLY_OUTCOME: Final = "batkol.reply.outcome"
REPLY_ATTEMPT: Final = "batkol.reply.attempt"
REPLY_SPECULATIVE: Final = "batkol.reply.speculative"
REPLY_DROPPED: Final = "batkol.reply.attempts_dropped"  # since the reply before
REPLY_FAILED_PART: Final = "batkol.reply.failed_part"
REPLY_LATENCY_MS: Final = "batkol.reply.latency_ms"  # from the caller's last sample
REPLY_TEXT_MS: Final = "batkol.reply.text_ms"
REPLY_FIRST_TOKEN_MS: Final = "batkol.reply.first_token_ms"  # noqa: S105  no password
REPLY_FIRST_PIECE_MS: Final = "batkol.reply.first_piece_ms"
REPLY_FIRST_SOUND_MS: Final = "batkol.reply.first_sound_ms"
REPLY_COMMIT_MS: Final = "batkol.reply.commit_ms"
REPLY_INTERRUPTED: Final = "batkol.reply.interrupted"
REPLY_RESUMED: Final = "batkol.reply.resumed"  # times that it went on after an interruption without words
REPLY_WORDS: Final = "batkol.reply.words"
REPLY_WORDS_HEARD: Final = "batkol.reply.words_heard"
ASKED_MS: Final = "batkol.attempt.asked_ms"  # that the answerer was asked for before the attempt was thrown away
ANSWERER: Final = "batkol.answerer"
TOOL_OUTCOME: Final = "batkol.tool.outcome"
TOOL_DONE: Final = "done"
VOICE: Final = "batkol.voice"
ANSWERER_VARIANT: Final = "batkol.answerer.variant"
VOICE_VARIANT: Final = "batkol.voice.variant"

TRANSCRIPT: Final = "batkol.transcript"
"""The caller's words. Only with OTEL_CAPTURE_TRANSCRIPTS=true."""
REPLY_INTENDED: Final = "batkol.reply.intended"
"""The agent's words, as `TRANSCRIPT`."""
REPLY_HEARD: Final = "batkol.reply.heard"
"""The words that the caller heard of it, as `TRANSCRIPT`."""
