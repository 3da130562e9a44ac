"""The agent of a chat, made of the settings of `batkol serve`: the same answerer, prompt, phrases and tools."""

from __future__ import annotations

from batkol.answering.answerer import Answerer
from batkol.answering.echo import Echo
from batkol.answering.openai import OpenAIAnswerer
from batkol.chat.settings import ChatSettings
from batkol.chat.text_call import TextAgent
from batkol.conversation.actions import StockPhrase
from batkol.voices.stored import Stored, stored


def answerer(settings: ChatSettings) -> Answerer:
    """Return the answerer of the settings."""
    if settings.answerer == "echo":
        return Echo()
    return OpenAIAnswerer(url=settings.answerer_url, model=settings.answerer_model, api_key=settings.answerer_api_key)


def text_agent(settings: ChatSettings, answers: Answerer, prompt: str) -> TextAgent:
    """Return the agent with that prompt."""
    phrases = settings.phrases(settings.gcp_stt_language)
    apology = phrases.get(StockPhrase.APOLOGY)
    return TextAgent(
        answerer=answers,
        prompt=prompt,
        language=settings.gcp_stt_language,
        greeting=phrases[StockPhrase.GREETING],
        apology=stored(Stored.APOLOGY, settings.gcp_stt_language).text if apology is None else apology,
    )
