"""OpenAI's completions as JSON: whole, and in the chunks of a stream."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import msgspec

from batkol.simulators.llm.requests import ChatRequest
from batkol.simulators.llm.tool_deltas import ScriptedCall, Untidy, tool_deltas


@dataclass(slots=True)
class Completion:
    """One answer: its tokens, and how it ends."""

    request: ChatRequest
    number: int
    tokens: Sequence[str]
    tools: Sequence[ScriptedCall] = ()
    untidy: Collection[Untidy] = ()
    finish_reason: str = "stop"
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def id(self) -> str:
        """The completion's name."""
        return f"chatcmpl-{self.number:024d}"

    def whole(self) -> dict[str, Any]:
        """Return the answer in one."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.tokens) or None, "refusal": None}
        if self.tools:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call_id, call in self._named()
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {**self._base("chat.completion"), "choices": [choice], "usage": self._usage()}

    def first(self) -> bytes:
        """Return the chunk with the role alone, which comes before the first token."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def token(self, text: str) -> bytes:
        """Return the chunk of a token."""
        return self._chunk({"content": text})

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield the chunks of text and tool calls in the order of their sending, each with its text ("": a tool's)."""
        texts = [(text, self.token(text)) for text in self.tokens]
        tools = [("", self._chunk({"tool_calls": [each]})) for each in tool_deltas(self._named(), self.untidy)]
        if Untidy.BESIDE_TEXT in self.untidy:
            yield from (part for pair in zip_longest(texts, tools) for part in pair if part is not None)
        else:
            yield from (*texts, *tools)

    def last(self, *, null_content: bool) -> list[bytes]:
        """Return the chunks after the last token: the finish_reason, and the usage if it was asked for."""
        chunks = [self._chunk({"content": None} if null_content else {}, self.finish_reason)]
        if self.request.include_usage:
            usage = {**self._base("chat.completion.chunk"), "choices": [], "usage": self._usage()}
            chunks.append(event(usage))
        return chunks

    def _named(self) -> list[tuple[str, ScriptedCall]]:
        return [(f"call_{self.number:021d}_{at:02d}", call) for at, call in enumerate(self.tools)]

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self.request.include_usage else {}
        return event({**self._base("chat.completion.chunk"), "choices": [choice], **usage})

    def _base(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id, "object": kind, "created": self.created, "model": self.request.model,
            "service_tier": "default", "system_fingerprint": "fp_double",
        }  # fmt: skip

    def _usage(self) -> dict[str, int]:
        prompt = sum(len(message.content) // 2 + 4 for message in self.request.messages)
        given = len(self.tokens)
        return {"prompt_tokens": prompt, "completion_tokens": given, "total_tokens": prompt + given}


def event(content: dict[str, Any]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + msgspec.json.encode(content) + b"\n\n"
