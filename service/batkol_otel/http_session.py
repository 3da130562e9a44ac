"""The HTTP client of the OTLP exporters and of Google's tokens: `requests`, with limits against any server.

`requests` has a time-out for each read, and collects an answer of any length, decompressed. Here the time-out is for
the whole exchange; the answer is neither compressed nor longer than `LARGEST`; no redirect is followed or taken for
success; no cookie is kept. HTTPS_PROXY, HTTP_PROXY and NO_PROXY count, as they do for the gRPC exporter and for
Whisper: a collector may be outside the cluster. A login comes from the URL or the headers, never from ~/.netrc.
"""

from __future__ import annotations

import io
import math
import threading
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError

from batkol_otel.connections import POOLS
from batkol_otel.exchange import UNDERWAY, Exchange, LimitError

LARGEST: Final = 1 << 20
"""Bytes of an answer with its head; a collector's has some hundred."""

DEFAULT_S: Final = 10.0
"""Seconds for an exchange that is asked for without a time-out."""

_PIECE: Final = 65_536


class AnswerRefusedError(requests.RequestException):
    """An answer that breaks a limit. An exporter does not repeat the request."""


class BoundedSession(requests.Session):
    """A session whose `close` ends the requests under way; `longest_s` caps the time-outs that it is given."""

    def __init__(self, longest_s: float = math.inf) -> None:
        super().__init__()
        self.auth = _UrlLogin()
        adapter = BoundedAdapter(longest_s)
        self.mount("http://", adapter)
        self.mount("https://", adapter)


class BoundedAdapter(HTTPAdapter):
    """Sends a request and reads the whole answer within the limits. A copy has the same limits and its own requests.

    google-auth copies the client that it was given, for requests of a thread of its own.
    """

    __attrs__ = [*HTTPAdapter.__attrs__, "_longest_s"]  # noqa: RUF012  as the base class has it

    def __init__(self, longest_s: float = math.inf) -> None:
        self._longest_s = longest_s
        self._begin_without_requests()
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        self._begin_without_requests()
        super().__setstate__(state)

    def _begin_without_requests(self) -> None:
        self._lock = threading.Lock()
        self._underway: set[Exchange] = set()
        self._closed = False

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See `HTTPAdapter`."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return a manager of connections through a proxy. Raises `InvalidProxyURL` for a proxy that is reached by TLS.

        TLS within TLS is read by urllib3 itself, with a time-out for each read.
        """
        if proxy.lower().startswith("https:"):
            raise requests.exceptions.InvalidProxyURL("A proxy must be an http:// URL; an https:// proxy is not used.")
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Return the whole answer; `timeout` is for everything, in seconds. Raises `requests.RequestException`.

        `requests` passes all but the request by name.
        """
        request.headers["Accept-Encoding"] = "identity"
        timeout = kwargs.pop("timeout", None)
        exchange = Exchange(min(DEFAULT_S if timeout is None else float(timeout), self._longest_s), LARGEST)
        self._begin(exchange)
        token = UNDERWAY.set(exchange)
        try:
            kwargs |= {"stream": True, "timeout": exchange.left_s()}
            return _read(super().send(request, *args, **kwargs))
        except LimitError as error:
            raise AnswerRefusedError(str(error)) from None
        except (HTTPError, TimeoutError, requests.RequestException) as error:
            if exchange.late:
                raise requests.Timeout("The server did not answer in time.") from None
            if exchange.ended or isinstance(error, HTTPError):
                raise AnswerRefusedError("The answer was cut off.") from None
            raise
        finally:
            UNDERWAY.reset(token)
            self._finish(exchange)

    def close(self) -> None:
        """End the request under way, from any thread, and refuse those that follow."""
        with self._lock:
            self._closed = True
            for exchange in self._underway:
                exchange.end()
        super().close()

    def _begin(self, exchange: Exchange) -> None:
        with self._lock:
            if self._closed:
                raise AnswerRefusedError("The client is closed.")
            self._underway.add(exchange)

    def _finish(self, exchange: Exchange) -> None:
        with self._lock:
            self._underway.discard(exchange)
        exchange.release()


class _UrlLogin(AuthBase):
    """The login of the URL. Without this, `requests` looks into ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        login = get_auth_from_url(str(request.url))
        return HTTPBasicAuth(*login)(request) if any(login) else request


def _read(response: requests.Response) -> requests.Response:
    """Read the body of an answer that may be read. Raises `LimitError`, and what urllib3 raises."""
    raw = response.raw
    try:
        _check_head(response)
        body = bytearray()
        while piece := raw.read(_PIECE, decode_content=False):
            body += piece
    except ValueError as error:  # http.client's, for the size of a chunk
        raw.close()
        raise LimitError(f"The answer is not HTTP ({type(error).__name__}).") from None
    except BaseException:
        raw.close()
        raise
    response.raw = io.BytesIO(body)  # without urllib3's response, no cookie of it is kept
    return response


def _check_head(response: requests.Response) -> None:
    if response.status_code < 200:
        raise LimitError(f"The answer is not a final one (HTTP {response.status_code}).")
    if 300 <= response.status_code < 400:
        raise LimitError(f"The answer is a redirect (HTTP {response.status_code}), which is not followed.")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
        raise LimitError("The answer is compressed although the request asked for an uncompressed answer.")
