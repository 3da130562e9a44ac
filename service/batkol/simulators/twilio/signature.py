"""Twilio's signature of its requests: with the account's token, and not always of the URL as it stands in the request.

Written from Twilio's pages and issues and not with `batkol.twilio.signature`, so that the two check each other. Which
spelling of the URL is signed changes from request to request, because Twilio's rule is not public: the port comes and
goes (its libraries try both), and a query is signed as given or as one of its programs would write it anew
(twilio/twilio-node#621, #1059, #1183). A stream's `wss://` URL is signed as the TwiML wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

Way = Callable[[str], str]


def sign(token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """Return the header's value: base64 of HMAC-SHA1 over the URL and the fields, sorted, names and values run on."""
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def as_given(url: str) -> str:
    """Return the URL unchanged."""
    return url


def with_port(url: str) -> str:
    """Name the default port, if no port is named."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if re.search(r":\d+$", host):
        return url
    return f"{scheme}://{host}:{443 if scheme == 'https' else 80}{slash}{path}"


def without_port(url: str) -> str:
    """Leave the port out."""
    return re.sub(r"^(https?://[^/?]*?):\d+(?=[/?]|$)", r"\1", url)


def bare(characters: str, url: str) -> str:
    """Sign these characters bare though they are sent escaped."""
    for character in characters:
        url = re.sub(f"%{ord(character):02X}", character, url, flags=re.IGNORECASE)
    return url


def reencoded(url: str, *, safe: str, plus: bool = False) -> str:
    """Take the query apart into names and values, and write each with one of the common encoders."""
    page, asked, query = url.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    return page + asked + "&".join(_encoded(name, safe, plus) + is_ + _encoded(v, safe, plus) for name, is_, v in pairs)


def _encoded(text: str, safe: str, plus: bool) -> str:
    plain = unquote_to_bytes(text.replace("+", " "))
    written = quote_from_bytes(plain, safe=safe + " ").replace(" ", "+" if plus else "%20")
    return written if "~" in safe else written.replace("~", "%7E")


WAYS: Final[Mapping[str, Way]] = {
    "as given": as_given,
    "with port": with_port,
    "without port": without_port,
    "@ and : bare": partial(bare, "@:"),
    "' bare": partial(bare, "'"),
    "by Python's quote": partial(reencoded, safe="-._~"),
    "by Python's urlencode": partial(reencoded, safe="-._~", plus=True),
    "by Java's URLEncoder": partial(reencoded, safe="-._*", plus=True),
    "by JavaScript's encodeURIComponent": partial(reencoded, safe="-._~!*'()"),
}


class Signer:
    """Signs one call's requests, each in a way that chance chooses, the same for the same call."""

    def __init__(self, token: str, call_sid: str) -> None:
        self._token = token
        self._chance = random.Random(call_sid)

    def sign(self, url: str, fields: Mapping[str, str]) -> str:
        """Return the header's value for a request to the URL with the form."""
        way = self._chance.choice(list(WAYS.values()))
        return sign(self._token, way(url), fields.items())
