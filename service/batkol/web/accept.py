"""The `Accept` header (RFC 9110, 12.5.1)."""

from __future__ import annotations


def accepts(header: str, media_type: str) -> bool:
    """Whether a client that sent this header takes that media type; without a range every type is taken.

    The most specific range that fits decides. A weight that is no number counts as 1.
    """
    kind = media_type.partition("/")[0]
    ranges = {name: weight for name, weight in map(_range, header.split(",")) if name}
    fitting = [ranges[name] for name in (media_type, f"{kind}/*", "*/*") if name in ranges]
    return fitting[0] > 0 if fitting else not ranges


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            return name, _weight(value.strip())
    return name, 1.0


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
