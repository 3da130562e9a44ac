"""The evaluation context of the flag: the call's two ends, its agent and its pod."""

from __future__ import annotations

from dataclasses import dataclass, field

from openfeature.evaluation_context import EvaluationContext


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """One per call, made when it starts; the numbers stay out of `repr`, and so out of logs."""

    call_sid: str  # the targetingKey: a percentage keys on it, so a call does not flap
    agent: str = ""
    from_: str = field(default="", repr=False)  # E.164
    to: str = field(default="", repr=False)
    account_sid: str = field(default="", repr=False)
    direction: str = "inbound"
    language: str = "he-IL"
    pod: str = ""
    evaluation: EvaluationContext = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build OpenFeature's form once; the flag is asked at every utterance."""
        attributes = {
            "agent": self.agent,
            "from": self.from_,
            "to": self.to,
            "account_sid": self.account_sid,
            "direction": self.direction,
            "language": self.language,
            "pod": self.pod,
        }
        object.__setattr__(self, "evaluation", EvaluationContext(self.call_sid, attributes))
