"""A recognizer that answers by a script: one step of the fallbacks, without a wire."""

from __future__ import annotations

import asyncio

from batkol.errors import UpstreamError

Answer = str | UpstreamError


def unreachable(reason: str = "unavailable") -> UpstreamError:
    """The failure of a step that may be asked again later."""
    return UpstreamError(f"the scripted recognizer is {reason}", reason=reason, retryable=True)


class ScriptedRecognizer:
    """Gives its answers in order, the last one again and again, each after `delay_s` of the loop's time.

    It keeps what it was asked, and counts the requests that were cancelled under way.
    """

    def __init__(self, *answers: Answer, delay_s: float = 0.1) -> None:
        self._answers = list(answers) or [""]
        self.delay_s = delay_s
        self.asked: list[bytes] = []
        self.given_up = 0

    async def recognize(self, audio: bytes) -> str:
        """Answer, or fail, by the script. Cancelling it uses the answer up."""
        self.asked.append(audio)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if isinstance(answer, UpstreamError):
            raise answer
        return answer
