"""The agent of a chat, made of the settings of `batkol serve`: the same answerer, prompt, phrases and tools."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec

from batkol.answering.answerer import Answerer
from batkol.answering.factory import Answerers
from batkol.chat.settings import ChatSettings
from batkol.chat.text_call import TextAgent
from batkol.conversation.actions import StockPhrase
from batkol.conversation.in_force import agent_settings, phrase_texts
from batkol.errors import ConfigurationError
from batkol.live.reply import ReplySettings, parse_reply
from batkol.live.reply_means import ReplyMeans
from batkol.live.source import REPLY
from batkol.paths import is_file
from batkol.voices.stored import Stored, stored


class ChatAnswerers:
    """The answerers of the settings, each with the prompt of its own, if it has one, and without."""

    def __init__(self, settings: ChatSettings) -> None:
        specs, keys = settings.answerer_specs, settings.answerer_keys()
        bare = {name: msgspec.structs.replace(spec, prompt="") for name, spec in specs.items()}
        self._prompts = {name: spec.prompt for name, spec in specs.items()}
        self._own = Answerers(specs, keys)
        self._bare = Answerers(bare, keys)

    def get(self, name: str, *, own_prompt: bool) -> Answerer:
        """Return the answerer of that name. Raises `ConfigurationError` for one that there is not."""
        found = (self._own if own_prompt else self._bare).by_name.get(name)
        if found is None:
            raise ConfigurationError(
                f"--answerer {name} is no answerer; ANSWERERS and the variables ANSWERER… have "
                f"{', '.join(self._prompts)}."
            )
        return found

    def has_prompt(self, name: str) -> bool:
        """Whether an answerer has a prompt of its own."""
        return bool(self._prompts.get(name))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._own.aclose()
        await self._bare.aclose()


def text_agent(settings: ChatSettings, reply: ReplySettings, answers: Answerer, prompt: str) -> TextAgent:
    """Return the agent with that prompt; "": that of `reply.json`, or of the environment."""
    language, in_force = settings.gcp_stt_language, agent_settings(settings, reply)
    phrases = phrase_texts(settings, reply, language)

    def phrase(which: StockPhrase) -> str:
        return phrases[which] if which in phrases else stored(Stored(which.value), language).text

    return TextAgent(
        answerer=answers,
        settings=replace(in_force, prompt=prompt or in_force.prompt),
        language=language,
        greeting=phrase(StockPhrase.GREETING),
        apology=phrase(StockPhrase.APOLOGY),
        goodbye=phrase(StockPhrase.GOODBYE),
    )


def reply_settings(settings: ChatSettings, file: Path | None, *, carried_out: bool) -> ReplySettings:
    """Read `reply.json`: that file, or the one in the folder of LIVE_SOURCE. Raises `ConfigurationError`.

    A live source in a cluster is not read. `carried_out`: the tools are, so their secrets are needed.
    """
    kind, _, folder = settings.live_source.partition(":")
    if file is None:
        file = Path(folder) / REPLY
        if kind != "file" or not is_file(file):
            return ReplySettings()
    try:
        reply = parse_reply(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    if lacking := ReplyMeans.of(settings, os.environ if carried_out else None).lacking(reply):
        raise ConfigurationError(f"{file} does not fit the settings: {'; '.join(lacking)}.")
    return reply
