"""X-Twilio-Signature: that a request, or a WebSocket handshake, was made by Twilio.

https://www.twilio.com/docs/usage/webhooks/webhooks-security: base64 of HMAC-SHA1, keyed with the account's
auth token, over the URL as Twilio was given it, followed by name and value of every form field in order. The
URL comes from the configured public base, never from headers: proxies rewrite scheme, host and port; and it counts in
the spellings of `signed_url`. The handshake of a media stream is signed over the `wss://` URL as the TwiML wrote it,
without fields.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from batkol.twilio.signed_url import spellings

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 100  # Twilio sends some twenty-five, and one more for each SIP header
LONGEST_FORM: Final = 16 * 1024  # bytes; Twilio's voice webhook is about 1 KiB
_LENGTH: Final = 28  # characters: base64 of a SHA-1

Field = tuple[str, str]


class MalformedForm(ValueError):  # noqa: N818 - the wire's noun, as MalformedMessage
    """A form that is too long to be Twilio's: answer 400."""


def parse_form(body: bytes) -> list[Field]:
    """Read application/x-www-form-urlencoded as it was sent: blank fields kept, nothing stripped, repeats in
    order.

    A blank field is part of what Twilio signs, so dropping it turns true requests away. Raises
    `MalformedForm`.
    """
    if len(body) > LONGEST_FORM:
        raise MalformedForm(
            f"The form is longer than {LONGEST_FORM} bytes, and Twilio's forms are shorter. The service refuses "
            "the form."
        )
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="replace",
        )
    except ValueError:
        raise MalformedForm(
            f"The form has more than {MOST_FIELDS} fields, and Twilio's forms have fewer. The service refuses the form."
        ) from None


def signature(token: str, url: str | bytes, params: Sequence[Field]) -> str:
    """Return what Twilio puts in the header. Of a repeated field, each different value counts once."""
    return _sign(token, _encoded(url), _signed(params)).decode()


def looks_signed(signature: str) -> bool:
    """Return whether a text has the form of a signature: a refusal by this costs no parsing."""
    return len(signature) == _LENGTH and signature.isascii() and signature.endswith("=")


def is_valid(tokens: Sequence[str], url: str | bytes, params: Sequence[Field], signature: str) -> bool:
    """Return whether any of `tokens` (several while one is being rotated) made this signature. False without
    tokens.

    `url` is the one that was requested, as it came; of http(s), every spelling of it counts. Every comparison is
    made and takes the same time.
    """
    given, fields, valid = signature.encode("utf-8", "replace"), _signed(params), False
    urls = spellings(_encoded(url))
    for token in tokens:
        for each in urls:
            valid |= hmac.compare_digest(_sign(token, each, fields), given)
    return valid


def _encoded(url: str | bytes) -> bytes:
    return url if isinstance(url, bytes) else url.encode()


def _signed(params: Sequence[Field]) -> bytes:
    return "".join(name + value for name, value in sorted(set(params))).encode("utf-8", "replace")


def _sign(token: str, url: bytes, fields: bytes) -> bytes:
    return base64.b64encode(hmac.digest(token.encode(), url + fields, hashlib.sha1))
