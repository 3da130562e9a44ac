"""Settings of the double of a language model while nothing is wrong."""

from __future__ import annotations

import msgspec

from batkol.simulators.llm.profiles import profile


class LLMSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The double's pace and strictness."""

    profile: str = ""
    """A published profile or `fixed:MS`; empty: the one that has the name of the request's model, else `fixed:350`."""
    tokens_per_s: float = 80.0
    """After the first token; 0: all at once. A token has one to four letters."""
    api_key: str = ""
    """The only key that is valid; empty: any, or none."""
    models: tuple[str, ...] = ()
    """The models that exist; empty: every name is one."""
    notice_ms: float = 0.0
    """From the end of a client's connection to the double's noticing it: it goes on writing the answer until then."""
    comments_every_ms: float = 0.0
    """Sends the head at once, and comments until the first token, as routers do to keep a connection; 0: none."""
    ragged: bool = False
    """Whether a chunk is written in two parts, often in the middle of a letter."""
    null_content: bool = False
    """Whether a chunk without text says `"content": null`, as some servers do, in the place of leaving it out."""
    refuses_usage: bool = False
    """Whether `stream_options` is refused, as some servers do that do not know it."""
    seed: int = 0
    """Seed of the random times, the sizes of tokens and the default answers."""

    def __post_init__(self) -> None:
        profile(self.profile)
        if min(self.tokens_per_s, self.notice_ms, self.comments_every_ms) < 0:
            raise ValueError("a pace or a time of the double must not be negative")
