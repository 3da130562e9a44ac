"""X-Twilio-Signature: that a request, or a WebSocket handshake, was made by Twilio.

https://www.twilio.com/docs/usage/webhooks/webhooks-security: base64 of HMAC-SHA1, keyed with the account's
auth token, over the URL exactly as Twilio was given it, followed by name and value of every form field in
order. The URL comes from the configured public base, never from headers: proxies rewrite scheme, host and
port. The handshake of a media stream is signed over the `wss://` URL as the TwiML wrote it, without fields.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 100  # Twilio sends some twenty-five, and one more for each SIP header
LONGEST_FORM: Final = 16 * 1024  # bytes; Twilio's voice webhook is about 1 KiB
_LENGTH: Final = 28  # characters: base64 of a SHA-1

Field = tuple[str, str]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class MalformedForm(ValueError):  # noqa: N818 - the wire's noun, as MalformedMessage
    """A form that is too long to be Twilio's: answer 400."""


def parse_form(body: bytes) -> list[Field]:
    """Read application/x-www-form-urlencoded as it was sent: blank fields kept, nothing stripped, repeats in
    order.

    A blank field is part of what Twilio signs, so dropping it turns true requests away. Raises
    `MalformedForm`.
    """
    if len(body) > LONGEST_FORM:
        raise MalformedForm(f"The form is longer than {LONGEST_FORM} bytes; Twilio's are not. It is refused.")
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="replace",
        )
    except ValueError:
        raise MalformedForm(f"The form has more than {MOST_FIELDS} fields; Twilio's have not. It is refused.") from None


def signature(token: str, url: str, params: Sequence[Field]) -> str:
    """Return what Twilio puts in the header. Of a repeated field, each different value counts once."""
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    digest = hmac.new(token.encode(), signed.encode("utf-8", "replace"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def looks_signed(signature: str) -> bool:
    """Say whether this can be a signature at all: what is refused by this costs no parsing."""
    return len(signature) == _LENGTH and signature.isascii() and signature.endswith("=")


def is_valid(tokens: Sequence[str], url: str, params: Sequence[Field], signature: str) -> bool:
    """Say whether any of `tokens` (several while one is being rotated) made this signature. False without
    tokens.

    Every comparison is made and takes the same time. For http(s), Twilio does not always sign the port that
    it was given, so the URL counts with and without it; a ws(s) URL counts only as written.
    """
    given = signature.encode("utf-8", "replace")
    valid = False
    for token in tokens:
        for form in _forms(url):
            valid |= hmac.compare_digest(_sign(token, form, params).encode(), given)
    return valid


_sign = signature  # `is_valid` names its parameter after the header


def _forms(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None:
        return (url,)
    if parts.port is None:
        return (url, parts._replace(netloc=f"{parts.netloc}:{default}").geturl())
    return (url, parts._replace(netloc=parts.netloc.removesuffix(f":{parts.port}")).geturl())
