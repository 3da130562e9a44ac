"""The double's control, for other processes: JSON over HTTP, on the double's own port.

`POST /control/faults` (one fault or a list) · `GET`, `DELETE /control/faults` · `GET /control/stats` ·
`POST`, `GET /control/rules` · `POST /control/reset` · `GET /control/healthz`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from batkol.answers import UNREADABLE
from batkol.simulators.double_faults import inject
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault

CONTROL: Final = "/control"


class ControlledLLM(Protocol):
    """The parts of the double that its control changes."""

    def script(self, *rules: Rule) -> None: ...
    def rules(self) -> Sequence[Rule]: ...
    def inject(self, *faults: LLMFault) -> None: ...
    def clear(self) -> None: ...
    def reset(self) -> None: ...
    def faults(self) -> list[LLMFault]: ...
    def stats(self) -> dict[str, Any]: ...


def route(method: str, path: str, body: bytes, controlled: ControlledLLM) -> tuple[int, Any]:
    """Carry out a request; return status and answer."""
    match method, path:
        case "POST", "/faults":
            return inject(body, controlled, LLMFault)
        case "POST", "/rules":
            return _script(body, controlled)
        case "GET", "/rules":
            return 200, controlled.rules()
        case "GET", "/stats":
            return 200, controlled.stats()
        case "DELETE", "/faults":
            controlled.clear()
        case "POST", "/reset":
            controlled.reset()
        case "GET", "/faults" | "/healthz":
            pass
        case _:
            where = ", ".join(f"{CONTROL}/{each}" for each in ("faults", "rules", "stats", "reset"))
            return 404, {"error": f"Nothing is here; use {where} or {CONTROL}/healthz."}
    return 200, controlled.faults()


def _script(body: bytes, controlled: ControlledLLM) -> tuple[int, Any]:
    try:
        rules = msgspec.json.decode(body, type=list[Rule])
    except UNREADABLE as error:
        return 400, {"error": f"These are no rules: {error}. Send " + '[{"contains": "…", "answer": "…"}].'}
    controlled.script(*rules)
    return 200, controlled.rules()
