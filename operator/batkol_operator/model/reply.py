"""`spec.reply`: what the agent answers, in which voice, and what it may do.

The texts, numbers and tools are live: they reach calls in progress at their next turn and restart nothing. Answerers,
voices and references to Secrets are read by the pods at start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from batkol_operator.model.part import ResourcePart, ResourceRule, listed_by
from batkol_operator.model.speakers import (
    DEFAULT,
    AnswererKind,
    AnsweringServer,
    NamedAnswerer,
    NamedVoice,
    SpeakingVoice,
)
from batkol_operator.model.tools import SAVE_LEAD, TRANSFER, LeadField, ToolSpec, TransfersSpec
from batkol_operator.model.turns import IdleSpec, InterruptionSpec, TurnsSpec

REPLIES_FLAG: Final = "agent-replies"

PhraseText = Annotated[str, StringConstraints(max_length=300)]


class PhrasesSpec(ResourcePart):
    """Phrases that the agent says by itself, in the callers' language; an empty text is not said."""

    filler: PhraseText | None = Field(
        None, description="Live. While an answer or a tool takes long; absent: a stored phrase."
    )
    apology: PhraseText | None = Field(None, description="Live. When no answer comes; absent: a stored phrase.")
    repeat: PhraseText | None = Field(
        None, description="Live. When the caller's words were not understood; absent: a stored phrase."
    )
    idle: PhraseText | None = Field(None, description="Live. To a silent caller; absent: a stored text.")
    goodbye: PhraseText | None = Field(None, description="Live. Before the agent hangs up; absent: a stored phrase.")
    limit: PhraseText | None = Field(
        None, description="Live. Before the end of a call that has reached a limit or a budget; absent: the goodbye."
    )


class LimitsSpec(ResourcePart):
    """Ends of calls in any case."""

    longest_call_seconds: int | None = Field(
        None, ge=0, le=86_400, description="Live. Longest call, in seconds; 0 or absent: no limit."
    )


class BudgetSpec(ResourcePart):
    """Most that the replies of one call may use; then the agent says so, and the call ends."""

    tokens: int | None = Field(
        None,
        ge=0,
        le=100_000_000,
        description="Live. Tokens of the answerer, of prompts and answers together; 0 or absent: no limit.",
    )
    minutes: int | None = Field(
        None, ge=0, le=1440, description="Live. Minutes of sound of the voice; 0 or absent: no limit."
    )
    characters: int | None = Field(
        None, ge=0, le=10_000_000, description="Live. Characters of text to the voice; 0 or absent: no limit."
    )


def _answerers_exist(part: ReplySpec) -> bool:
    names = {DEFAULT, *(each.name for each in part.answerers)}
    every = (*part.answerers, *([part.answerer] if part.answerer else []))
    return all(name in names for each in every for name in (each.then, each.first, each.second) if name)


def _voices_exist(part: ReplySpec) -> bool:
    names = {DEFAULT, *(each.name for each in part.voices)}
    every = (*part.voices, *([part.voice] if part.voice else []))
    return all(each.then in names for each in every if each.then)


def _known(item: str, field: str, names: str) -> str:
    return (
        f"(!has({item}.{field}) || {item}.{field} == '{DEFAULT}' || "
        f"(has(self.{names}) && self.{names}.exists(o, o.name == {item}.{field})))"
    )


def _all_known(one: str, many: str, *fields: str) -> str:
    named = " && ".join(_known("a", field, many) for field in fields)
    single = " && ".join(_known(f"self.{one}", field, many) for field in fields)
    return f"(!has(self.{many}) || self.{many}.all(a, {named})) && (!has(self.{one}) || ({single}))"


def _leads_back(then: Mapping[str, str | None]) -> str:
    """Return the name of one whose `then`, followed from name to name, comes back to it; "" if there is none."""
    for start in then:
        name, steps = then[start], 0
        while name is not None and name != start and steps < len(then):
            name, steps = then.get(name), steps + 1
        if name == start:
            return start
    return ""


class ReplySpec(ResourcePart):
    """The agent's answers, their voice, and the tools that it may call."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel="has(self.answerer) || (has(self.enabled) && !self.enabled)",
            holds=lambda part: part.answerer is not None or part.enabled is False,
            message="must be specified unless `enabled` is false: the callers would have no answer",
            field=".answerer",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel=_all_known("answerer", "answerers", "then", "first", "second"),
            holds=_answerers_exist,
            message=f"must have every name that `then`, `first` or `second` of an answerer gives; `{DEFAULT}` is the "
            "one in `answerer`",
            field=".answerers",
        ),
        ResourceRule(
            cel=_all_known("voice", "voices", "then"),
            holds=_voices_exist,
            message=f"must have every name that `then` of a voice gives; `{DEFAULT}` is the one in `voice`",
            field=".voices",
        ),
        ResourceRule(
            cel=f"!has(self.answerers) || self.answerers.all(a, a.name != '{DEFAULT}' && "
            "(!has(a.then) || a.then != a.name))",
            holds=lambda part: all(each.name not in (DEFAULT, each.then) for each in part.answerers),
            message=f"may not have the name `{DEFAULT}`, which is the one in `answerer`; none may be its own `then`",
            field=".answerers",
        ),
        ResourceRule(
            cel=f"!has(self.voices) || self.voices.all(a, a.name != '{DEFAULT}' && (!has(a.then) || a.then != a.name))",
            holds=lambda part: all(each.name not in (DEFAULT, each.then) for each in part.voices),
            message=f"may not have the name `{DEFAULT}`, which is the one in `voice`; none may be its own `then`",
            field=".voices",
        ),
        ResourceRule(
            cel=f"!has(self.tools) || !self.tools.exists(t, t.name == '{TRANSFER}') || has(self.transfers)",
            holds=lambda part: part.transfers is not None or all(tool.name != TRANSFER for tool in part.tools),
            message=f"must be specified when `tools` has `{TRANSFER}`: a label without a number leads nowhere",
            field=".transfers",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel=f"!has(self.tools) || !self.tools.exists(t, t.name == '{SAVE_LEAD}') || "
            "(has(self.leadFields) && size(self.leadFields) > 0)",
            holds=lambda part: bool(part.lead_fields) or all(tool.name != SAVE_LEAD for tool in part.tools),
            message=f"must be specified when `tools` has `{SAVE_LEAD}`: a lead without fields says nothing",
            field=".leadFields",
            reason="FieldValueRequired",
        ),
    )

    @model_validator(mode="after")
    def _ends(self) -> Self:
        """Refuse what CEL cannot follow: a `then` that leads back, and a hedge over a hedge. Pods would not start."""
        answerers: dict[str, AnsweringServer] = {each.name: each for each in self.answerers}
        voices: dict[str, SpeakingVoice] = {each.name: each for each in self.voices}
        if self.answerer is not None:
            answerers[DEFAULT] = self.answerer
        if self.voice is not None:
            voices[DEFAULT] = self.voice
        for field, then in (
            ("answerers", {name: each.then for name, each in answerers.items()}),
            ("voices", {name: each.then for name, each in voices.items()}),
        ):
            if ring := _leads_back(then):
                raise PydanticCustomError("ring", f"The `then` of {field} leads from `{ring}` back to `{ring}`.")
        for name, each in answerers.items():
            for other in (each.first, each.second):
                if other in answerers and answerers[other].kind is AnswererKind.HEDGED:
                    raise PydanticCustomError(
                        "hedge", f"The answerer `{name}` hedges `{other}`, which is Hedged itself."
                    )
        return self

    enabled: bool | None = Field(
        None,
        description=f"Live. Whether the agent answers: the flag `{REPLIES_FLAG}`. Absent: it does, unless `flags` "
        f"holds `{REPLIES_FLAG}`, which then decides for each turn.",
    )
    prompt: str | None = Field(
        None,
        max_length=32_768,
        description="Live. Instructions for the model, the first message of every request; at most 32768 characters.",
    )
    answerer: AnsweringServer | None = Field(None, description="Who answers; the one called `default`.")
    answerers: tuple[NamedAnswerer, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed_by("name"),
        description="Further answerers, for the flag `answerer`, for `then` and for Hedged.",
    )
    voice: SpeakingVoice | None = Field(None, description="Who speaks; the one called `default`. Absent: Builtin.")
    voices: tuple[NamedVoice, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed_by("name"),
        description="Further voices, for the flag `voice` and for `then`.",
    )
    greeting: PhraseText | None = Field(
        None, description="Live. Phrase at the beginning of a call; empty or absent: the caller speaks first."
    )
    greeting_interruptible: bool | None = Field(
        None, description="Live. Whether a caller who speaks interrupts the greeting; absent: true."
    )
    phrases: PhrasesSpec | None = Field(None, description="Live. Phrases that the agent says by itself.")
    tools: tuple[ToolSpec, ...] = Field(
        (),
        max_length=32,
        json_schema_extra=listed_by("name"),
        description="Live, but for the references to Secrets. Tools that the model may call; absent: none.",
    )
    lead_fields: tuple[LeadField, ...] = Field(
        (),
        max_length=32,
        json_schema_extra=listed_by("name"),
        description=f"Live. Fields of the leads that the tool `{SAVE_LEAD}` saves.",
    )
    transfers: TransfersSpec | None = Field(
        None, description=f"Numbers that the tool `{TRANSFER}` may use; absent: callers cannot be transferred."
    )
    interruption: InterruptionSpec | None = Field(
        None, description="Live. Settings for callers who speak while the agent does."
    )
    idle: IdleSpec | None = Field(None, description="Live. Settings for callers who are silent after a reply.")
    turns: TurnsSpec | None = Field(None, description="Live. Thresholds of the turns between a caller and the agent.")
    limits: LimitsSpec | None = Field(None, description="Live. When a call ends in any case.")
    budget: BudgetSpec | None = Field(None, description="Live. Most that the replies of one call may use.")
    speculative_attempts_per_minute: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Attempts of one pod before the end of speech, each of which may be thrown away; 0: none; absent: "
        "600. A change rolls the pods.",
    )
