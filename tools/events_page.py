"""Write the tables of events in docs/agents.md from `batkol.events`: `python tools/events_page.py`.

What stands between the two marks is made, and a test compares it. `--check` writes nothing, and fails if it differs.
"""

# ruff: noqa: INP001, T201 - a script, not a package

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from batkol.events.described import COMMON, EVENTS, FEED
from batkol.events.order import BEGIN, REPLY, UTTERANCE
from batkol.events.schema import FEED_STRUCTS, STRUCTS, event_schemas, name_of, rights_of

PAGE: Final = Path(__file__).parents[1] / "docs" / "agents.md"
BEGINS: Final = "<!-- events: begin (made by tools/events_page.py) -->\n"
ENDS: Final = "<!-- events: end -->\n"


def section() -> str:
    """Return the tables."""
    by_name = {name_of(struct): struct for struct in STRUCTS}
    parts = ["Every event has these fields:\n\n", *_table(_rows(COMMON, _properties(STRUCTS[0]), {}))]
    for name, event in EVENTS.items():
        struct = by_name[name]
        parts += [f"\n### `{name}`\n", f"\n{event.when}\n", "\n"]
        parts += _table(_rows(event.fields, _properties(struct), rights_of(struct)))
    parts += [
        "\n### Events of the feed itself\n",
        "\nThey belong to no call, and have no other fields than `type` and these.\n",
    ]
    for struct in FEED_STRUCTS:
        event = FEED[name_of(struct)]
        parts += [f"\n**`{name_of(struct)}`.** {event.when}\n", "\n"]
        parts += _table(_rows(event.fields, _properties(struct), {}))
    parts += ["\n### What may follow\n", "\n", *_order()]
    return "".join(parts)


def _properties(struct: Any) -> Mapping[str, Any]:
    schemas = event_schemas("{name}")
    found: Mapping[str, Any] = schemas[struct.__name__]["properties"]
    return found


def _rows(fields: Mapping[str, str], properties: Mapping[str, Any], rights: Mapping[str, str]) -> Iterator[str]:
    for name, text in fields.items():
        right = f" Right: `{rights[name]}`." if name in rights else ""
        yield f"| `{name}` | {_type(properties[name])} | {text}{right} |"


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "string"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "object":
        return f"object of {_type(schema['additionalProperties'])}s"
    return str(schema["type"])


def _table(rows: Iterator[str]) -> Iterator[str]:
    yield "| field | type | what |\n|---|---|---|\n"
    for row in rows:
        yield f"{row}\n"


def _order() -> Iterator[str]:
    yield "| after | of the same utterance | of the same reply |\n|---|---|---|\n"
    for name in dict.fromkeys([BEGIN, *UTTERANCE, *REPLY]):
        cells = [_names(name, table) for table in (UTTERANCE, REPLY)]
        yield f"| {f'`{name}`' if name else '(nothing)'} | {' | '.join(cells)} |\n"


def _names(name: str, table: Mapping[str, frozenset[str]]) -> str:
    if name not in table:
        return "–"
    return ", ".join(f"`{each}`" for each in EVENTS if each in table[name]) or "(the end)"


def page(text: str) -> str:
    """Return the page with the tables in their place."""
    before, _, rest = text.partition(BEGINS)
    _, end, after = rest.partition(ENDS)
    if not end:
        raise SystemExit(f"{PAGE.name} has no place for the tables: {BEGINS.strip()} … {ENDS.strip()}")
    return f"{before}{BEGINS}{section()}{ENDS}{after}"


def main() -> None:
    """Write the page, or check it."""
    text = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        if page(text) != text:
            raise SystemExit("docs/agents.md is not up to date: run `python tools/events_page.py`")
        return
    PAGE.write_text(page(text), encoding="utf-8")
    print(f"{PAGE.name}: {len(STRUCTS)} events")


if __name__ == "__main__":
    main()
