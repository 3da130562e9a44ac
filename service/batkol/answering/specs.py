"""Descriptions of answerers, as the settings have them: the variables `ANSWERER*`, and each entry of `ANSWERERS`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from batkol.answering.behind import THEN_AFTER_MS
from batkol.answering.hedged import AFTER_MS
from batkol.http_client.signature import key_of
from batkol.named_specs import check_url
from batkol.prompt_facts import check_prompt

AnswererKind = Literal["echo", "openai", "webhook", "hedged"]

_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "echo": frozenset(),
    "openai": frozenset({"url", "model", "keyEnv", "prompt", "maxTokens", "temperature"}),
    "webhook": frozenset({"url", "keyEnv", "prompt"}),
    "hedged": frozenset({"first", "second", "afterMs", "prompt"}),
}
"""Fields of each kind, beside `kind`, `then` and `thenAfterMs`."""
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "echo": (),
    "openai": ("url", "model"),
    "webhook": ("url",),
    "hedged": ("first", "second"),
}
_OF_ALL: Final = frozenset({"kind", "then", "thenAfterMs"})

Milliseconds = Annotated[int, Meta(ge=0, le=3500)]


class AnswererSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One answerer. What it names of others are names of `ANSWERERS`, or `default`."""

    kind: AnswererKind
    url: str = ""
    """The base of an `openai` server, with `/v1`; the URL that a `webhook` is posted to, as it stands."""
    model: str = ""
    key_env: str = ""
    """The name of the variable with the bearer token, or with the secret (`whsec_…`) of a webhook."""
    prompt: str = ""
    """Instructions in the place of the agent's own, for this answerer."""
    max_tokens: Annotated[int, Meta(ge=1, le=100_000)] = 300
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    first: str = ""
    second: str = ""
    """The two that are hedged, each without the one behind it."""
    after_ms: Milliseconds = AFTER_MS
    """Time without a text after which the second is asked, too."""
    then: str = ""
    """The one behind it: asked when it fails, or has no text in time."""
    then_after_ms: Milliseconds = THEN_AFTER_MS

    @property
    def others(self) -> Iterator[tuple[str, str]]:
        """The fields that name others, and the names."""
        if self.kind == "hedged":
            yield "first", self.first
            yield "second", self.second
        if self.then:
            yield "then", self.then

    def check(self, name: str, key: str = "") -> None:
        """Refuse what cannot answer. `key` is the secret. Raises `ValueError`, a sentence that does not quote it."""
        for field in self._given - _FIELDS[self.kind] - _OF_ALL:
            raise ValueError(f"{name}: {field} is no field of kind {self.kind}; remove it")
        if self.missing:
            raise ValueError(f"{name}: kind {self.kind} needs {' and '.join(self.needed)}")
        if self.url:
            check_url(name, self.url, base=self.kind == "openai")
        try:
            check_prompt(self.prompt)
        except ValueError as error:
            raise ValueError(f"{name}: prompt {error}") from None
        self.check_secret(f"{name}: the variable {self.key_env}", key)

    def check_secret(self, name: str, key: str) -> None:
        """Refuse a secret that is none. Raises `ValueError`, which begins with its name."""
        if self.kind == "webhook" and key:
            try:
                key_of(key)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None

    @property
    def needed(self) -> tuple[str, ...]:
        """The fields that its kind cannot be without."""
        return _NEEDED[self.kind]

    @property
    def missing(self) -> bool:
        """Whether one of them is."""
        return not all(getattr(self, field) for field in self.needed)

    @property
    def _given(self) -> frozenset[str]:
        fields = msgspec.structs.fields(self)
        return frozenset(each.encode_name for each in fields if getattr(self, each.name) != each.default)


def check_hedges(specs: Mapping[str, AnswererSpec]) -> None:
    """Refuse a hedge over a hedge: a question would cost four requests. Raises `ValueError`."""
    for name, spec in specs.items():
        for field in ("first", "second"):
            other = specs.get(getattr(spec, field))
            if other is not None and other.kind == "hedged":
                raise ValueError(f"{name}: {field} must be no hedged answerer itself")
        if spec.kind == "hedged" and spec.first == spec.second:
            raise ValueError(f"{name}: first and second must be two answerers; two entries may have the same server")
