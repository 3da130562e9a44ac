"""Answerers by their descriptions: one line a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from batkol.answering.answerer import Answerer
from batkol.answering.behind import BehindAnswerer
from batkol.answering.echo import Echo
from batkol.answering.hedged import HedgedAnswerer, HedgeOutcome
from batkol.answering.openai import OpenAIAnswerer
from batkol.answering.prompted import PromptedAnswerer
from batkol.answering.specs import AnswererSpec
from batkol.answering.webhook import WebhookAnswerer
from batkol.errors import OnOutcome, unwatched
from batkol.named_specs import settings_of


@dataclass(frozen=True, slots=True)
class AnswererParts:
    """Parts that the answerers of a process share. The first argument is an answerer's name."""

    may_hedge: Callable[[], bool] = lambda: True
    """Whether one more request may be in vain."""
    on_hedge: Callable[[str, HedgeOutcome], None] = lambda _, __: None
    on_failover: Callable[[str, str], None] = lambda _, __: None
    watch: Callable[[str, str], OnOutcome] = lambda _, __: unwatched
    """Takes note of what an answerer answers. The second argument says where its settings are, a sentence."""


class Answerers:
    """The answerers of a process by their names. Their settings were checked."""

    def __init__(
        self, specs: Mapping[str, AnswererSpec], keys: Mapping[str, str], parts: AnswererParts | None = None
    ) -> None:
        self._specs = specs
        self._parts = parts or AnswererParts()
        self.servers: Mapping[str, Answerer] = {
            name: _single(name, spec, keys.get(name, ""), self._parts.watch)
            for name, spec in specs.items()
            if spec.kind != "hedged"
        }
        """Answerers that are asked themselves: neither hedged, nor with one behind them."""
        self.by_name: Mapping[str, Answerer] = {name: self._whole(name) for name in specs}

    async def aclose(self) -> None:
        """Close their connections; answers under way end in an `AnswererError`."""
        for server in self.servers.values():
            await server.aclose()

    def _whole(self, name: str) -> Answerer:
        """Return an answerer with the ones behind it."""
        spec = self._specs[name]
        alone = self._alone(name)
        if not spec.then:
            return alone
        on_failover = partial(self._parts.on_failover, name)
        return BehindAnswerer(
            alone,
            self._whole(spec.then),
            names=(name, spec.then),
            after_ms=spec.then_after_ms,
            on_failover=on_failover,
        )

    def _alone(self, name: str) -> Answerer:
        spec = self._specs[name]
        answerer = self._hedged(name) if spec.kind == "hedged" else self.servers[name]
        return PromptedAnswerer(answerer, spec.prompt) if spec.prompt else answerer

    def _hedged(self, name: str) -> Answerer:
        spec, parts = self._specs[name], self._parts
        return HedgedAnswerer(
            self._alone(spec.first),
            self._alone(spec.second),
            names=(spec.first, spec.second),
            after_ms=spec.after_ms,
            may_hedge=parts.may_hedge,
            on_hedge=partial(parts.on_hedge, name),
            on_failover=partial(parts.on_failover, name),
        )


def _single(name: str, spec: AnswererSpec, key: str, watch: Callable[[str, str], OnOutcome]) -> Answerer:
    if spec.kind not in {"openai", "webhook"}:
        return Echo()
    on_outcome = watch(name, settings_of(name, spec.key_env, "ANSWERER"))
    match spec.kind:
        case "openai":
            return OpenAIAnswerer(
                url=spec.url,
                model=spec.model,
                api_key=key,
                max_tokens=spec.max_tokens,
                temperature=spec.temperature,
                on_outcome=on_outcome,
            )
        case "webhook":
            return WebhookAnswerer(url=spec.url, secret=key, on_outcome=on_outcome)
    raise AssertionError(spec.kind)
