"""`reply.json`: what the agent says and may do, changed while calls are up, refused whole if one thing is wrong.

    {"revision": "7", "prompt": "You answer for a clinic.", "greeting": "שלום!", "idle": {"milliseconds": 8000}}

Every field is optional; an absent one is the process's own setting. The file has no secret: it names the environment
variables that have the tokens of tools, and the labels of transfers whose numbers stand in TRANSFER_ALLOWED. Its
`interruption` and `idle` go before `turns` in `tuning.json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from batkol.errors import ConfigurationError
from batkol.live import strict_document
from batkol.live.source import REPLY
from batkol.live.strict_document import content_revision
from batkol.live.turn_tuning import TURN_BOUNDS, Count, Milliseconds, TurnsDocument, TurnTuning, TurnWords
from batkol.prompt_facts import check_prompt
from batkol.tools.definition import ToolDefinition, check_lead_fields, check_tools

LONGEST_PROMPT: Final = 32_768
"""Characters."""
LONGEST_PHRASE: Final = 300
"""Characters: a caller would not wait for the end of a longer one."""
MOST_TRANSFERS: Final = 50
TOOL_VARIABLE: Final = "TOOL_"
"""Environment variables that a tool of the file may name begin with it: a file cannot have another secret of the
process sent to a tool's URL."""
LABEL: Final = r"^[^\W_][\w -]{0,63}$"

DEFAULTS: Final = "defaults"
"""The revision where no `reply.json` is in force: the settings are the environment's."""

STAYS: Final = (
    "The service applied nothing of this change and keeps the last valid reply settings; correct the file to try again."
)
TOOK_THE_REST: Final = (
    "No reply settings were in force before, so the service applied the rest of the file: the tools and labels named "
    "here are not offered to the model."
)

PhraseText: TypeAlias = Annotated[str, msgspec.Meta(max_length=LONGEST_PHRASE)] | UnsetType


class PhraseTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The agent's own phrases, in the callers' language; an empty text is not said."""

    filler: PhraseText = UNSET
    apology: PhraseText = UNSET
    repeat: PhraseText = UNSET
    idle: PhraseText = UNSET
    goodbye: PhraseText = UNSET
    limit: PhraseText = UNSET


class Interruption(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Thresholds of interruptions; `batkol.speech.turn_thresholds` says what each number is."""

    milliseconds: Milliseconds = UNSET
    words: Count = UNSET
    false_interruptions: Count = UNSET
    backchannel_words: TurnWords = UNSET
    stop_words: TurnWords = UNSET


class Idle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answer to a caller who is silent after a reply."""

    milliseconds: Milliseconds = UNSET
    prompts: Count = UNSET


class CallEnds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Ends of calls in any case; 0: none."""

    longest_call_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | UnsetType = UNSET


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Most that the replies of one call may cost: tokens, minutes of sound, characters for the voice; 0: no limit."""

    tokens: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] | UnsetType = UNSET
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] | UnsetType = UNSET
    characters: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | UnsetType = UNSET


class ReplySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """The file as written: what it leaves out is `UNSET`."""

    revision: Annotated[str, msgspec.Meta(min_length=1, max_length=253)] | UnsetType = UNSET
    prompt: Annotated[str, msgspec.Meta(max_length=LONGEST_PROMPT)] | UnsetType = UNSET
    greeting: PhraseText = UNSET
    greeting_interruptible: bool | UnsetType = UNSET
    phrases: PhraseTexts = PhraseTexts()
    tools: tuple[ToolDefinition, ...] | UnsetType = UNSET
    lead_fields: dict[str, Any] | UnsetType = UNSET
    """Name to JSON Schema, or to a text that says what the field is."""
    transfers: (
        Annotated[
            tuple[Annotated[str, msgspec.Meta(pattern=LABEL)], ...],
            msgspec.Meta(max_length=MOST_TRANSFERS),
        ]
        | UnsetType
    ) = UNSET
    interruption: Interruption = Interruption()
    idle: Idle = Idle()
    limits: CallEnds = CallEnds()
    budget: Budget = Budget()

    @property
    def name(self) -> str:
        """The revision in force."""
        return DEFAULTS if self.revision is UNSET else self.revision

    def figures(self) -> Mapping[str, str | int]:
        """Return what a log line may say of them: no text of the file, whose prompt and phrases are the user's own."""
        return {
            "revision": self.name,
            "prompt_characters": len(self.prompt or ""),
            "phrases": len(self.phrase_texts()),
            "tools": len(self.tools or ()),
            "lead_fields": len(self.lead_fields or ()),
            "transfers": len(self.transfers or ()),
        }

    def phrase_texts(self) -> Mapping[str, str]:
        """Return the phrases that the file gives, the greeting too, by the name of the phrase."""
        given = {"greeting": self.greeting} | msgspec.structs.asdict(self.phrases)
        return {name: text for name, text in given.items() if text is not UNSET}

    def turns(self, tuning: TurnTuning) -> TurnTuning:
        """Return the tuning of turns with this file's numbers and words in it."""
        return TurnsDocument(
            interruption_milliseconds=self.interruption.milliseconds,
            interrupt_words=self.interruption.words,
            false_interruptions=self.interruption.false_interruptions,
            backchannel_words=self.interruption.backchannel_words,
            stop_words=self.interruption.stop_words,
            idle_milliseconds=self.idle.milliseconds,
            idle_prompts=self.idle.prompts,
        ).merged(tuning)


_DECODER: Final = msgspec.json.Decoder(ReplySettings)


def parse_reply(raw: bytes) -> ReplySettings:
    """Read `reply.json`. Raises `ConfigurationError`, sentences that quote no text of the file."""
    settings = strict_document.read(REPLY, raw, _DECODER, _rule, STAYS)
    if wrong := _contradiction(settings):
        raise ConfigurationError(f"{REPLY}: {wrong}. {STAYS}")
    if settings.revision is UNSET:
        return msgspec.structs.replace(settings, revision=content_revision(raw))
    return settings


def _contradiction(settings: ReplySettings) -> str:
    """Return what no single field shows, "" where all is well."""
    tools, labels = settings.tools or (), settings.transfers or ()
    try:
        check_prompt(settings.prompt or "")
    except ValueError as error:
        return f"prompt {error}"
    try:
        check_tools(tools)
        check_lead_fields(settings.lead_fields or {})
    except ValueError as error:
        return str(error)
    if len(set(labels)) < len(labels):
        return "transfers has a label twice"
    for index, tool in enumerate(tools):
        if not all(name.startswith(TOOL_VARIABLE) for name in (tool.token_env, tool.secret_env) if name):
            return f"tools[{index}].tokenEnv and secretEnv must begin with {TOOL_VARIABLE}"
    return ""


_PHRASE: Final = f"must be a text of at most {LONGEST_PHRASE} characters"
_MILLISECONDS: Final = "must be a whole number of milliseconds from {} to {}".format(*TURN_BOUNDS["Milliseconds"])
_COUNT: Final = "must be a whole number from {} to {}".format(*TURN_BOUNDS[""])
_WORDS: Final = "must be a list of at most 500 words of 1 to 50 characters"
_RULES: Final = {
    "prompt": f"must be a text of at most {LONGEST_PROMPT} characters",
    "greeting": _PHRASE,
    "greetingInterruptible": "must be true or false",
    **{f"phrases.{name}": _PHRASE for name in PhraseTexts.__struct_encode_fields__},
    "tools": "must be a list of tools",
    "tools[]": "must be an object with a name, and a url unless the tool is a built-in one",
    **{f"tools[].{name}": "must be a text" for name in ("name", "description", "url", "tokenEnv", "secretEnv")},
    "tools[].timeoutSeconds": "must be a number of seconds",
    "tools[].speculative": "must be false",
    "leadFields": "must be a JSON object",
    "transfers": f"must be a list of at most {MOST_TRANSFERS} labels",
    "transfers[]": "must be 1 to 64 letters, digits, spaces, - and _, a letter or digit first",
    "interruption.milliseconds": _MILLISECONDS,
    "interruption.words": _COUNT,
    "interruption.falseInterruptions": _COUNT,
    "interruption.backchannelWords": _WORDS,
    "interruption.backchannelWords[]": "must be a word of 1 to 50 characters",
    "interruption.stopWords": _WORDS,
    "interruption.stopWords[]": "must be a word of 1 to 50 characters",
    "idle.milliseconds": _MILLISECONDS,
    "idle.prompts": _COUNT,
    "limits.longestCallSeconds": "must be a whole number of seconds from 0 to 86400",
    "budget.tokens": "must be a whole number from 0 to 100000000",
    "budget.minutes": "must be a whole number of minutes from 0 to 1440",
    "budget.characters": "must be a whole number from 0 to 10000000",
}


def _rule(path: str) -> str | None:
    rule = _RULES.get(re.sub(r"\[\d*(?:\.\.\.)?\]", "[]", path))
    return f"{path} {rule}" if rule else None
