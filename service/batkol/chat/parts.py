"""The agent of a chat, made of the settings of `batkol serve`: the same answerer, prompt, phrases and tools."""

from __future__ import annotations

import msgspec

from batkol.answering.answerer import Answerer
from batkol.answering.factory import Answerers
from batkol.chat.settings import ChatSettings
from batkol.chat.text_call import TextAgent
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.errors import ConfigurationError
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


def text_agent(settings: ChatSettings, answers: Answerer, prompt: str) -> TextAgent:
    """Return the agent with that prompt; "": that of the environment."""
    language = settings.gcp_stt_language
    phrases = settings.phrases(language)

    def phrase(which: StockPhrase) -> str:
        return phrases[which] if which in phrases else stored(Stored(which.value), language).text

    return TextAgent(
        answerer=answers,
        settings=AgentSettings(
            prompt=prompt or settings.answerer_prompt,
            tools=settings.tools,
            lead_fields=settings.lead_fields,
            transfers=settings.transfer_allowed,
        ),
        language=language,
        greeting=phrase(StockPhrase.GREETING),
        apology=phrase(StockPhrase.APOLOGY),
        goodbye=phrase(StockPhrase.GOODBYE),
    )
