"""The official flagd provider, in its in-process mode only: flagd streams definitions, this process evaluates
them.

Its RPC mode asks over the network at every evaluation and, though it has methods named async, blocks the
event loop while it waits: 300 ms of a slow flagd are 300 ms without audio for every call. Refused. Its file
mode is what Batkol's `live` provider does, without those faults. Refused too.

What is set or replaced here, against openfeature-provider-flagd 0.6:

- keepalive is off by default, and a half-open connection goes unnoticed for ten minutes: 30 s, the least that
  flagd answers without GOAWAY;
- after any end of the stream it waits `retry_backoff_max` (5 s) blind: 1 s;
- the stream is ended on purpose every ten minutes, and the same number is the least time for a connection
  attempt: off, the keepalive does that work;
- one bad flag makes it drop the whole set, and JSON that is not an object kills its thread for good while its
  state is READY: definitions pass Batkol's own parser first, flag by flag;
- whatever else it did not expect, JSON that nests too deeply for one, kills its thread for good as well: it is
  watched, and started again;
- the older GetMetadata call kills the thread where a server leaves it empty: not made; flagd now sends its
  static context along with the flags;
- definitions of more than gRPC's 4 MiB, compressed or not, are refused silently, every second: logged once;
- `shutdown` leaves a timer and a thread behind: stopped and joined.

Each of flagd's variables still overrules the default here, except a keepalive below 30 s.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import Any

import grpc
import structlog
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import DEFAULT_PORT_IN_PROCESS, ResolverType
from openfeature.contrib.provider.flagd.resolvers import InProcessResolver
from openfeature.contrib.provider.flagd.resolvers.process.connector.grpc_watcher import GrpcWatcher
from openfeature.event import ProviderEventDetails
from openfeature.provider import Metadata

from batkol.errors import ConfigurationError
from batkol.flags.core import BoundedCore
from batkol.live.flag_definitions import FlagDefinitions, parse_definitions
from batkol.live.source import FLAGS
from batkol.status import RefusedDefinition
from batkol.urls import check_endpoint

LEAST_KEEPALIVE_MS = 30_000  # flagd's enforcement policy: faster pings are answered with GOAWAY
_JOIN_S = 2.0
_TOO_LARGE = RefusedDefinition(
    FLAGS,
    None,
    "flagd's definitions are larger than 4 MiB, the limit of gRPC. The flags in force stay; make the "
    "definitions smaller, or select a part of them with FLAGD_SOURCE_SELECTOR.",
)

log = structlog.get_logger()


class InProcessFlagd(FlagdProvider):
    """flagd's definitions, evaluated here. Reads the `FLAGD_*` variables as the official provider does."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Raises `ConfigurationError` for a mode other than in-process, an address or a number that is none."""
        _check_mode(environ)
        _check_address(environ)
        try:
            super().__init__(
                resolver_type=ResolverType.IN_PROCESS,
                keep_alive_time=max(LEAST_KEEPALIVE_MS, _number(environ, "FLAGD_KEEP_ALIVE_TIME_MS", 0)),
                retry_backoff_max_ms=_number(environ, "FLAGD_RETRY_BACKOFF_MAX_MS", 1000),
                stream_deadline_ms=_number(environ, "FLAGD_STREAM_DEADLINE_MS", 0),
                sync_metadata_disabled=True,
            )
        except (ValueError, OSError) as error:  # a port that is no number, a certificate that is not there
            raise ConfigurationError(f"One of the FLAGD_* variables cannot be used: {error}.") from error
        if not isinstance(self.resolver, InProcessResolver) or not isinstance(self.resolver.connector, GrpcWatcher):
            raise ConfigurationError("The flagd provider did not start in process. Set FLAGS_PROVIDER=live.")
        self._core, self._connector = BoundedCore(), self.resolver.connector
        self.resolver.evaluator = self._core  # type: ignore[assignment]  # it calls only resolve_…_value()
        self.definitions = _CheckedDefinitions(self)
        self._on_end = self._connector._handle_rpc_error  # noqa: SLF001  # the only place that learns of an end
        self._connector._handle_rpc_error = self._stream_ended  # type: ignore[method-assign]  # noqa: SLF001
        self._connector.flag_store = self.definitions  # type: ignore[assignment]  # it calls only update()

    def get_metadata(self) -> Metadata:
        """Return the name that `FLAGS_PROVIDER` has for this provider."""
        return Metadata(name="flagd")

    def defines(self, flag_key: str) -> bool:
        """Whether the definitions in force have this flag."""
        return self._core.defines(flag_key)

    def load(self, definitions: FlagDefinitions) -> None:
        """Put checked definitions in force and return the flags that changed."""
        changed = self._core.load(definitions)
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))

    def _stream_ended(self, e: grpc.RpcError) -> bool:
        if e.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in e.details():
            self.definitions.refuse(_TOO_LARGE)
        return self._on_end(e)

    @property
    def fault(self) -> str:
        """See `Revivable`. The thread is flagd's, and has written its last error to stderr."""
        return ""

    @property
    def dead(self) -> bool:
        """See `Revivable`. A stream that flagd ended for good (a fatal status) is not begun again."""
        connector = self._connector
        return connector.thread is not None and connector.active and not connector.thread.is_alive()

    def revive(self) -> None:
        """See `Revivable`. The last good definitions stay in force until flagd has sent others."""
        name = "FlagdGrpcSyncWorkerThread"  # as the official provider calls it
        self._connector.thread = threading.Thread(target=self._connector.listen, daemon=True, name=name)
        self._connector.thread.start()

    def shutdown(self) -> None:
        """Close the channel and join the official provider's threads. It blocks: not on the loop."""
        super().shutdown()
        timer = self._connector.timer
        if timer is not None:
            timer.cancel()
        for thread in (timer, self._connector.thread, getattr(self._connector, "monitor_thread", None)):
            if thread is not None and thread.is_alive():
                thread.join(_JOIN_S)


class _CheckedDefinitions:
    """Stands where the provider's connector puts new definitions, on the connector's thread."""

    def __init__(self, provider: InProcessFlagd) -> None:
        self._provider = provider
        self._last_good: FlagDefinitions | None = None
        self.refusals: tuple[RefusedDefinition, ...] = ()

    def update(self, flags_data: Any) -> None:
        """Take what flagd sent, whatever it is; refuse what is wrong in it, and never raise."""
        try:
            text = json.dumps(flags_data)
        except RecursionError:
            text = ""  # what is refused, as a file would be that is nested as deep
        definitions, refusals = parse_definitions(text.encode(), self._last_good)
        self.refuse(*refusals)
        if definitions is not None and definitions is not self._last_good:
            self._last_good = definitions
            self._provider.load(definitions)

    def refuse(self, *refusals: RefusedDefinition) -> None:
        """Log the present refusals, each of them once."""
        for refusal in refusals:
            if refusal not in self.refusals:
                log.warning("[CFG] change from flagd refused", flag=refusal.flag, why=refusal.why)
        self.refusals = refusals


def _check_mode(environ: Mapping[str, str]) -> None:
    mode = environ.get("FLAGD_RESOLVER", "in-process").strip().lower()
    if mode == "rpc":
        raise ConfigurationError(
            "FLAGD_RESOLVER=rpc sends a request to flagd at every utterance and blocks all audio during the "
            "request. Set FLAGD_RESOLVER=in-process (and FLAGD_SYNC_PORT, 8015 by default)."
        )
    if mode == "file" or environ.get("FLAGD_OFFLINE_FLAG_SOURCE_PATH"):
        raise ConfigurationError(
            "flagd's file mode (FLAGD_RESOLVER=file or FLAGD_OFFLINE_FLAG_SOURCE_PATH) misses changes. "
            "Set FLAGS_PROVIDER=live and LIVE_SOURCE=file:DIRECTORY; it reads the same flags.json."
        )
    if mode != "in-process":
        raise ConfigurationError("FLAGD_RESOLVER must be in-process, or unset.")


def _check_address(environ: Mapping[str, str]) -> None:
    for name in ("FLAGD_SYNC_PORT", "FLAGD_PORT"):
        try:
            if port := environ.get(name):
                check_endpoint(f"localhost:{port.strip()}")
        except ValueError:
            raise ConfigurationError(f"{name} must be a port from 1 to 65535.") from None
    try:
        check_endpoint(f"{environ.get('FLAGD_HOST', 'localhost')}:{DEFAULT_PORT_IN_PROCESS}")
    except ValueError:
        raise ConfigurationError(
            "FLAGD_HOST must be a host name or an IP address (IPv6 in brackets). The port is FLAGD_SYNC_PORT."
        ) from None


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal():
        raise ConfigurationError(f"{name} must be a whole number of milliseconds.")
    return int(text)
