"""The way to one of Google's gRPC services: its address, its credentials, and the options of a connection."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import google.auth
import google.auth.exceptions
import grpc
import msgspec
from google.auth import environment_vars
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request

from batkol.blocking import BlockingCalls
from batkol.errors import ConfigurationError
from batkol.google_api.hosts import is_google
from batkol_otel.http_session import BoundedSession

CREDENTIALS_S: Final = 30.0
"""Seconds for which a start waits for credentials: a file takes no time, a metadata server is asked three times."""

TOKEN_S: Final = 30.0
"""Seconds that a token server may take; google-auth has two minutes between two bytes, and no end."""

_LATE: Final = f"Google credentials did not arrive within {CREDENTIALS_S:g} s"
_LATE_REMEDY: Final = (
    "check that GOOGLE_APPLICATION_CREDENTIALS names a regular file on a file system that answers, and that the "
    "metadata server answers"
)

NO_PROXY: Final = (("grpc.enable_http_proxy", 0),)
"""For an endpoint on this machine: a proxy that the environment names for Google does not reach it."""

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)

LARGEST: Final = 1 << 20
"""Bytes of a message from Google, also after inflating it; a minute of words with their times is some 20 kB."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.use_local_subchannel_pool", 1),  # else two channels to one target share a connection
    # A dead network, docs/adr/0007. Keepalive also sets TCP_USER_TIMEOUT to its time-out (gRPC proposal A18), so while
    # audio is sent a path that is gone shows after 8 s without any ping. The ping is for what still acknowledges but
    # does not mention it, and for silence: 30 s is the shortest that Google's front ends bear; below it they end the
    # connection, with every call on it, for "too_many_pings".
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 8_000),
    # And back: by default a new connection is given 20 s, and tried every two minutes after a while.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


class CredentialsError(ConfigurationError):
    """A lack of credentials to ask Google with. `why` says what is wrong with those that were looked for."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(f"{why}; {remedy}")
        self.why = why


class GoogleService(msgspec.Struct, frozen=True):
    """One of Google's services, for addresses and errors."""

    host: str
    variables: str
    """The beginning of the names of its settings, such as `GCP_STT`."""
    content: str
    """The content that travels to it, such as `speech`."""
    double: str
    """The name of its double."""


def token_request(longest_s: float = TOKEN_S) -> Request:
    """Return the HTTP client of google-auth for token servers; an exchange has limits of time and size."""
    return Request(BoundedSession(longest_s))


class GoogleEndpoint:
    """`address` is `host:port`, or empty for Google itself. Raises `ConfigurationError` for Google in plaintext."""

    def __init__(self, service: GoogleService, *, address: str, insecure: bool) -> None:
        self._service = service
        if insecure and is_google(address):
            raise ConfigurationError(
                f"{service.variables}_INSECURE sends {service.content} without encryption, and the service refuses "
                f"that for Google's own host; set {service.variables}_ENDPOINT to the {service.double}, or unset "
                f"{service.variables}_INSECURE"
            )
        self.address = address or service.host
        self._options = [*OPTIONS, *(NO_PROXY if _is_loopback(self.address) else ())]
        self._insecure = insecure
        self._credentials: Any = None
        self._looking: asyncio.Future[Any] | None = None

    @property
    def ready(self) -> bool:
        """Whether `dial` has the credentials that it needs."""
        return self._insecure or self._credentials is not None

    async def start(self) -> None:
        """Find the credentials, off the event loop (it reads files, and may ask a metadata server).

        Raises `CredentialsError` if there are none, or if they do not come. Cancelling it loses nothing. A look
        that is under way, such as one that hangs, is waited for, and no other one begun.
        """
        if self.ready:
            return
        service = self._service
        calls = BlockingCalls("google.credentials")
        if self._looking is None or self._looking.done():
            self._looking = calls.submit(partial(google.auth.default, scopes=list(_SCOPES), request=token_request()))
            self._looking.add_done_callback(_retrieve)
        try:
            async with asyncio.timeout(CREDENTIALS_S):
                self._credentials, _ = await asyncio.shield(self._looking)  # a look that hangs stays under way
        except TimeoutError as error:
            raise CredentialsError(_LATE, _LATE_REMEDY) from error
        except (google.auth.exceptions.GoogleAuthError, OSError, ValueError, AttributeError) as error:
            raise CredentialsError(
                _why(error),
                "set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, run with a workload "
                f"identity, or point {service.variables}_ENDPOINT at the {service.double} with "
                f"{service.variables}_INSECURE=true",
            ) from error
        finally:
            await calls.close()

    def dial(self) -> grpc.aio.Channel:
        """Open a connection. Call it after `start`."""
        if self._insecure:
            return grpc.aio.insecure_channel(self.address, options=self._options)
        host = self.address if ":" in self.address else f"{self.address}:443"
        return grpc.aio.secure_channel(host, self._secure(), options=self._options)

    def _secure(self) -> grpc.ChannelCredentials:
        """Make the credentials as Google's `create_channel` does, which takes no HTTP client."""
        untyped: Any = AuthMetadataPlugin
        plugin = untyped(self._credentials, token_request(), default_host=self._service.host)
        return grpc.compute_engine_channel_credentials(grpc.metadata_call_credentials(plugin))


def _retrieve(looked: asyncio.Future[Any]) -> None:
    """Take note of an error that comes when nothing waits for it any more."""
    if not looked.cancelled():
        looked.exception()


def _why(error: Exception) -> str:
    """Say what is wrong with the credentials, without a word out of their file."""
    path = os.environ.get(environment_vars.CREDENTIALS, "")
    if not path:
        return "Google credentials were not found, and GOOGLE_APPLICATION_CREDENTIALS is not set"
    file = f"the file of GOOGLE_APPLICATION_CREDENTIALS, {path},"
    match error:
        case OSError():
            return f"Google credentials cannot be read: {file} cannot be opened ({error.strerror or 'I/O error'})"
        case google.auth.exceptions.DefaultCredentialsError() if "was not found" in str(error):
            return f"Google credentials were not found: {file} does not exist"
        case google.auth.exceptions.DefaultCredentialsError() if "not a valid json" in str(error):
            return f"Google credentials cannot be read: {file} is not JSON"
        case google.auth.exceptions.DefaultCredentialsError() | ValueError() | AttributeError():
            return f"Google credentials cannot be read: {file} is no key of a service account, or is damaged"
    return f"Google credentials cannot be used: {type(error).__name__} of Google's library"


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(f"//{endpoint}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
