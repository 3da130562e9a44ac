"""The provider for those without flags: `streaming-stt` is ENABLE_STREAMING_STT, until a restart."""

from __future__ import annotations

from openfeature.provider import Metadata
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from batkol.live.flag_definitions import STREAMING_FLAG


class EnvProvider(InMemoryProvider):
    """Answers `streaming-stt` with one value for all calls (reason STATIC); any other flag does not exist."""

    def __init__(self, *, streaming: bool) -> None:
        variants = {"on": True, "off": False}
        super().__init__({STREAMING_FLAG: InMemoryFlag("on" if streaming else "off", variants)})

    def defines(self, flag_key: str) -> bool:
        """Whether it answers this flag."""
        return flag_key == STREAMING_FLAG

    def get_metadata(self) -> Metadata:
        """Return the name that `FLAGS_PROVIDER` has for this provider."""
        return Metadata(name="env")
