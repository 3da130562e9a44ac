"""Credentials of a NATS server: a user and password, a token, a user's NKey, or a credentials file.

https://docs.nats.io/using-nats/developer/connecting/security. An NKey is an Ed25519 key in base32 with a checksum
(https://github.com/nats-io/nkeys); with it the client signs a nonce, and no secret leaves the process. A credentials
file has a JWT of the user beside its NKey. nats-py reads both by a package that has no wheel, so this reads them.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_JWT: Final = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)\s+-+END NATS USER JWT-+")
_SEED: Final = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(\S+)\s+-+END USER NKEY SEED-+")
_BEGINS: Final = "-----BEGIN "
_USER: Final = 20 << 3  # in base32 a U
_SEED_PREFIX: Final = 18 << 3  # in base32 an S
_SEED_LENGTH: Final = 36  # bytes: two of prefixes, the key, two of a checksum


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The proof of a client to a server. No field is printed."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    jwt: str = field(default="", repr=False)
    key: Ed25519PrivateKey | None = field(default=None, repr=False)

    @property
    def nkey(self) -> str:
        """The public key of the user; "" without one."""
        return "" if self.key is None else _encoded(_USER, self.key.public_key().public_bytes_raw())

    def options(self) -> dict[str, Any]:
        """Return the options of nats-py's `connect`, but for the public key."""
        if self.key is not None:
            jwt = {"user_jwt_cb": self.jwt.encode} if self.jwt else {}
            return {"signature_cb": self._sign, **jwt}
        if self.token:
            return {"token": self.token}
        return {"user": self.user, "password": self.password} if self.user else {}

    def _sign(self, nonce: str) -> bytes:
        assert self.key is not None  # noqa: S101
        return base64.b64encode(self.key.sign(nonce.encode()))


NONE: Final = Credentials()


def credentials(text: str) -> Credentials:
    """Return the credentials in a text; `NONE` for an empty one. Raises `ValueError`, a clause that quotes nothing.

    A text with a colon is `user:password`; one of an NKey seed's form is that; any other one is a token.
    """
    text = text.strip()
    if not text:
        return NONE
    if _BEGINS in text:
        return _of_file(text)
    if ":" in text:
        user, _, password = text.partition(":")
        return Credentials(user=user, password=password)
    if text.startswith("SU") and len(text) == 58:
        return Credentials(key=_key(text))
    return Credentials(token=text)


def _of_file(text: str) -> Credentials:
    jwt, seed = _JWT.search(text), _SEED.search(text)
    if jwt is None or seed is None:
        raise ValueError("is no whole credentials file of NATS, from BEGIN NATS USER JWT to END USER NKEY SEED")
    return Credentials(jwt=jwt[1], key=_key(seed[1]))


def _key(seed: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 -- for NKeys alone

    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error:
        raw = b""
    if len(raw) != _SEED_LENGTH or _checksum(raw[:-2]) != raw[-2:]:
        raise ValueError("has an NKey seed that is damaged; copy it again, from SU to its 58th character")
    if raw[0] & 0xF8 != _SEED_PREFIX or (raw[0] & 7) << 5 | raw[1] >> 3 != _USER:
        raise ValueError("has an NKey seed that is no user's: the seed of a user begins with SU")
    return Ed25519PrivateKey.from_private_bytes(raw[2:-2])


def _encoded(prefix: int, key: bytes) -> str:
    raw = bytes([prefix]) + key
    return base64.b32encode(raw + _checksum(raw)).decode()


def _checksum(raw: bytes) -> bytes:
    return binascii.crc_hqx(raw, 0).to_bytes(2, "little")
