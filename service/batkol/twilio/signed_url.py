"""The spellings that Twilio may have signed of a URL that it requested.

One URL can be written in several ways, and what Twilio signs is not always, byte for byte, what comes in:
`@` and `:` are signed bare and sent as `%40` and `%3A` (twilio/twilio-node#621), `'` is signed bare and arrives as
`%27` (twilio/twilio-node#1059 and #1183, twilio/twilio-ruby#528), the port is signed or not (Twilio's libraries try
both), and proxies change `%d7` to `%D7`. So the bytes as received are tried, and the ways in which a program writes a
query anew. Each of them means the same: no name, value or order differs, `+` and `%20` are both a space, and neither
`%26`, `%3D`, `%2B`, `%23` nor `%25` is ever exchanged for the bare character, which would mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Final

MAX_SPELLINGS: Final = 64
"""The most spellings of one URL: sixteen of its query, with and without port, and two of a host in capitals."""

LONGEST: Final = 1024
"""Bytes of a query up to which it is written anew; a longer one counts only as received. What stands there is the
webhook's own, not Twilio's; and any client can send a query that costs time (at this length, some 1.3 ms)."""

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f])([0-9A-Fa-f])")
_URL: Final = re.compile(rb"(https?)://(\[[^\]]*\]|[^:/?]*)(:[0-9]*)?(.*)", re.DOTALL)
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}

# A query is a string of code points here: a byte that stood bare is itself, and one that was escaped is 0x100 above it,
# 0x200 for a small second digit, 0x300 for a small first one, 0x400 for both. From the second `=` of a pair on they
# are part of the value, bare or not: these have points of their own.
_CASES: Final = (0x100, 0x200, 0x300, 0x400)
_EQUALS: Final = {0x3D: 0x500, 0x13D: 0x501, 0x23D: 0x502}
_VALUE: Final = re.compile("=[^&]+")
_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_FIXED: Final = frozenset({*b"&=+#%", *range(0x20), 0x7F})  # bare and escaped, they differ
_BEYOND: Final = frozenset(range(0x80, 0x100))
_LEGAL: Final = b"-._~!$'()*,;:@/?="  # RFC 3986, 3.4; a `=` only inside a value

_Table = Mapping[int, str]


def spellings(url: bytes) -> Sequence[bytes]:
    """Return up to `MAX_SPELLINGS` spellings, first the URL itself; Twilio signs a WebSocket's as the TwiML has it."""
    found = _URL.fullmatch(url)
    if found is None:
        return (url,)
    scheme, host, port, behind = found.groups(b"")
    ports = (port, b"" if port else _DEFAULT_PORTS[scheme])
    path, asked, query = behind.partition(b"?")
    queries = _queries(query) if len(query) <= LONGEST else [query]
    tails = [path + b"?" + each for each in queries] if query else [path + asked, path, path + b"?"]
    hosts = dict.fromkeys((host, host.lower()))
    return tuple(b"%s://%s%s%s" % (scheme, *parts) for parts in product(hosts, ports, dict.fromkeys(tails)))


def _queries(query: bytes) -> Iterable[bytes]:
    points = _VALUE.sub(_value, _ESCAPE.sub(_point, query.decode("latin-1")))
    return dict.fromkeys([query, *(points.translate(table).encode("latin-1") for table in _TABLES)])


def _point(escape: re.Match[str]) -> str:
    first, second = escape.groups()
    return chr(_CASES[2 * first.islower() + second.islower()] + int(first + second, 16))


def _value(found: re.Match[str]) -> str:
    return "=" + found.group()[1:].translate(_EQUALS)


def _hex(byte: int, case: int = 0x100) -> str:
    digits = f"{byte:02X}"
    first = digits[0].lower() if case in _CASES[2:] else digits[0]
    second = digits[1].lower() if case in _CASES[1::2] else digits[1]
    return f"%{first}{second}"


def _reencoded(bare: bytes, space: str, *, beyond: bool = False) -> _Table:
    """Write everything anew: `bare` (and with `beyond` what is not ASCII) as it is, a space so, the rest escaped."""
    as_is = _LETTERS | frozenset(bare) | (_BEYOND if beyond else frozenset())
    table = {}
    for byte in range(0x100):
        if byte not in _FIXED:
            table[byte] = chr(byte) if byte in as_is else _hex(byte)
        written = space if byte == ord(" ") else table.get(byte, _hex(byte))
        table |= {case + byte: written for case in _CASES}
    equals = dict.fromkeys(_EQUALS.values(), "=" if "=" in map(chr, bare) else "%3D")
    return table | equals | {ord("+"): space}


def _as_received(*, bare: Iterable[int] = (), escaped: Iterable[int] = (), case: int = 0) -> _Table:
    """Keep everything as it came, but for these bytes, and the case of the digits of escapes if `case` gives one."""
    table = {each + byte: _hex(byte, case or each) for byte in range(0x100) for each in _CASES}
    table |= {each + byte: chr(byte) for byte in bare for each in _CASES}
    table |= {_EQUALS[0x3D]: "="} | {_EQUALS[each + 0x3D]: table[each + 0x3D] for each in _CASES[:2]}
    return table | {byte: _hex(byte) for byte in escaped}


_TABLES: Final[Sequence[_Table]] = (
    _as_received(bare=b"@:"),  # twilio/twilio-node#621
    _as_received(bare=b"'"),  # twilio/twilio-node#1059
    _as_received(bare=b"'@:"),
    _as_received(bare=_BEYOND),  # as a person writes Hebrew
    _as_received(escaped=b"'\"<>" + bytes(_BEYOND)),  # the URL parser of browsers and of Node
    _as_received(case=0x100),  # %D7
    _as_received(case=0x400),  # %d7
    _reencoded(b"-._~", "%20"),  # Python's quote, PHP's rawurlencode
    _reencoded(b"-._~", "+"),  # Python's urlencode
    _reencoded(b"-._*", "+"),  # Java's URLEncoder, and an HTML form
    _reencoded(b"-._~!*'()", "%20"),  # JavaScript's encodeURIComponent, Node's querystring
    _reencoded(_LEGAL, "%20"),  # as little as RFC 3986 allows
    _reencoded(_LEGAL, "+"),
    _reencoded(_LEGAL, "%20", beyond=True),
    _reencoded(_LEGAL, "+", beyond=True),
)
