"""TwiML: the answers of the voice webhook.

https://www.twilio.com/docs/voice/twiml. Twilio parses strictly (12100, 12200) and dials a stream only by
`wss`, never with a query string (31920, 31922), so what it would refuse in the middle of a call is refused
here, by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit
from xml.sax.saxutils import escape, quoteattr

from batkol.errors import ConfigurationError

TOKEN_PARAMETER: Final = "token"  # noqa: S105 - a name, not a secret
"""The `<Parameter>` that carries the stream token; it comes back in `start.customParameters`."""

MEDIA_PATH: Final = "/twilio/media"

LONGEST_UPDATE: Final = 4000
"""Characters of TwiML in an update of a call (32018)."""

_LONGEST_PARAMETER: Final = 500  # characters of name and value together; Twilio wants fewer
_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_SCHEMES: Final = {"http": "ws", "https": "wss"}
# XML 1.0, production 2
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SAY: Final = {  # https://www.twilio.com/docs/voice/twiml/say/text-speech
    "he": ("he-IL", "Google.he-IL-Standard-A"),
    "iw": ("he-IL", "Google.he-IL-Standard-A"),  # Google's older code for Hebrew
}


def stream_url(public_base_url: str) -> str:
    """Return `wss://host[/prefix]/twilio/media` for `https://host[/prefix]`, or `ws://…` for `http://…`.

    Raises `ConfigurationError` for any other URL.
    """
    parts, _ = _split(public_base_url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or parts.query or parts.fragment:
        raise ConfigurationError(
            "PUBLIC_BASE_URL must be https://host[/prefix] (http:// in development), without a query string."
        )
    return _media_url(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{MEDIA_PATH}")


def connect_stream(
    *,
    url: str,
    token: str,
    name: str | None = None,
    status_callback: str | None = None,
    action: str | None = None,
    parameters: Mapping[str, str] | None = None,
    then: str = "<Hangup/>",
) -> str:
    """Return the TwiML that connects the call to the service's media stream.

    `name` must be unique in the call; it comes back as `StreamName` in the requests to `status_callback`.
    Twilio goes on when the service closes the WebSocket, and only then: it requests `action` if there is one, and
    does what that answers. Without one it does what is in `then`, one of this module's `hand_over` and `apologize`,
    or hangs up. Twilio would end the call by itself there; it is written out so that the end of a stream is a
    decision to be seen. Raises `ConfigurationError` for what Twilio would not take.
    """
    named = {TOKEN_PARAMETER: token, **(parameters or {})}
    if named[TOKEN_PARAMETER] != token:
        raise ConfigurationError(f"The stream token uses the name {TOKEN_PARAMETER!r}: rename your stream parameter.")
    stream = f"<Stream{_attributes(url=_media_url(url), name=name, statusCallback=_callback(status_callback))}>"
    inner = "".join(_parameter(name, value) for name, value in named.items())
    return _response(f"<Connect{_attributes(action=_callback(action))}>{stream}{inner}</Stream></Connect>{then}")


def apology(language: str, text: str) -> str:
    """Return the TwiML that reads `text` to the caller and hangs up. `language` is a BCP 47 tag, as `he-IL`."""
    return _response(apologize(language, text))


def redirect(url: str, *, after_s: int = 0) -> str:
    """Return the TwiML that hands the call to another webhook. Raises `ConfigurationError`.

    With `after_s` seconds before it. A `<Pause>` that comes first delays the picking up
    (https://www.twilio.com/docs/voice/twiml/pause): a new caller hears the line ring, and not silence.
    """
    return _response(hand_over(url, after_s=after_s))


def hang_up() -> str:
    """Return TwiML that ends the call."""
    return _response("<Hangup/>")


def dial(target: str) -> str:
    """Return the TwiML that connects the caller to a number, or to a SIP URI, and hangs up after that.

    Without a `callerId` the other side sees the caller's own number. Raises `ConfigurationError` for TwiML that Twilio
    would not take in an update.
    """
    noun = "Sip" if target.startswith(("sip:", "sips:")) else "Number"
    found = _response(f"<Dial><{noun}>{escape(_clean(target))}</{noun}></Dial><Hangup/>")
    if len(found) > LONGEST_UPDATE:
        raise ConfigurationError(f"The TwiML of a transfer has more than {LONGEST_UPDATE} characters.")
    return found


def apologize(language: str, text: str) -> str:
    """Return the verbs of `apology`, to stand after others."""
    tag, voice = _SAY.get(language.partition("-")[0].lower(), (language, None))
    return f"<Say{_attributes(language=tag, voice=voice)}>{escape(_clean(text))}</Say><Hangup/>"


def hand_over(url: str, *, after_s: int = 0) -> str:
    """Return the verbs of `redirect`, to stand after others."""
    pause = f"<Pause{_attributes(length=str(after_s))}/>" if after_s else ""
    return f"{pause}<Redirect{_attributes(method='POST')}>{escape(_callback(url) or '')}</Redirect>"


def _response(verbs: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'


def _attributes(**values: str | None) -> str:
    return "".join(f" {name}={quoteattr(_clean(value))}" for name, value in values.items() if value is not None)


def _parameter(name: str, value: str) -> str:
    if not name or len(name) + len(value) >= _LONGEST_PARAMETER:
        raise ConfigurationError(
            f"The stream parameter {name[:40]!r} has no name, or name and value have {_LONGEST_PARAMETER} "
            "characters or more: Twilio takes fewer. Shorten it."
        )
    return f"<Parameter{_attributes(name=name, value=value)}/>"


def _media_url(url: str) -> str:
    """Return the URL as Twilio will dial and sign it, without a default port: that would be signed too."""
    parts, port = _split(url)
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None:
        raise ConfigurationError("A media stream's URL must begin with wss:// (ws:// in development).")
    if "@" in parts.netloc:
        raise ConfigurationError("A media stream's URL can have no user and no password: remove them.")
    if "?" in url or "#" in url or not parts.hostname:
        raise ConfigurationError(
            "A media stream's URL must be a host and a path: with a query string Twilio cannot connect."
        )
    if port != default:
        return url
    return parts._replace(netloc=parts.netloc.removesuffix(f":{default}")).geturl()


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError("A URL's host or port is not valid: write https://host[:port]/path.") from None
    return parts, port


def _callback(url: str | None) -> str | None:
    if url is None:
        return None
    parts, _ = _split(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or _NOT_XML.search(url):
        raise ConfigurationError("A URL that Twilio requests must be absolute: https://host/path.")
    return url


def _clean(text: str) -> str:
    if _NOT_XML.search(text):
        raise ConfigurationError("TwiML cannot contain control characters: remove them from the parameter or text.")
    return text
