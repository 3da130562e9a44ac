"""The README: what it shows is what works, and it is short."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.crd import crd

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def block(language: str) -> str:
    """Return the one block of that language."""
    (found,) = [text for name, text in BLOCK.findall(README) if name == language]
    return str(found)


def test_its_prose_is_of_some_six_hundred_words() -> None:
    words = BLOCK.sub("", README).split()

    assert 400 < len(words) < 750


def test_no_picture_of_letters_is_wider_than_ninety_columns() -> None:
    drawn = [line for name, text in BLOCK.findall(README) if not name for line in text.splitlines()]

    assert any("▶" in line for line in drawn)
    assert max(map(len, drawn)) <= 90


def test_its_bot_is_the_smallest_one_of_the_page_about_bots() -> None:
    page = (ROOT / "docs" / "agents.md").read_text("utf-8")

    assert f"```python\n{block('python')}```" in page


def test_its_voice_agent_is_one_that_the_cluster_takes_and_has_eight_lines() -> None:
    made = yaml.safe_load(block("yaml"))
    (version,) = crd()["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert len(block("yaml").splitlines()) == 8
    assert (made["apiVersion"], made["kind"]) == (f"{crd()['spec']['group']}/{version['name']}", "VoiceAgent")
    assert list(unknown(made["spec"], spec)) == []
    assert set(spec["required"]) <= set(made["spec"])


def unknown(value: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return the fields that a schema does not have, and values that it does not allow."""
    found = []
    for name, each in value.items():
        known = schema["properties"].get(name)
        if known is None or each not in known.get("enum", [each]):
            found.append(name)
        elif isinstance(each, dict):
            found += [name for name in known.get("required", []) if name not in each] + unknown(each, known)
    return found


@pytest.mark.parametrize("name", ["demo", "test"])
def test_its_two_commands_are_targets(name: str) -> None:
    assert f"make {name} " in block("sh")
    assert f"\n{name}: " in (ROOT / "Makefile").read_text("utf-8")


def test_what_it_says_of_google_is_in_the_table_of_accuracy() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
    rows = {
        cells[0].strip("* "): cells[1:] for cells in map(split, re.findall(r"^\| .*\d\.\d+.* \|$", page, re.MULTILINE))
    }
    rows = {
        name: cells for name, cells in rows.items() if all(re.fullmatch(r"[\d.]+", cell.strip("* ")) for cell in cells)
    }
    google = [float(cell.strip("* ")) for cell in rows.pop("Google v1, `default`")]
    best = [min(float(row[column]) for row in rows.values()) for column in range(len(google))]

    said = " ".join(README.split())
    assert f"{of_hundred(min(google))} to {of_hundred(max(google))} errors in a hundred words" in said
    assert f"have {of_hundred(min(best))} to {of_hundred(max(best))}." in said


def test_the_source_of_the_figures_is_named_where_they_stand() -> None:
    pages = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "docs/accuracy.md")}
    links = {
        name: re.findall(r"\[ivrit\.ai's [^]]*leaderboard\]\((https://[^)]+)\)", text) for name, text in pages.items()
    }

    assert links["README.md"] == links["docs/accuracy.md"]
    assert len(links["README.md"]) == 1


def of_hundred(rate: float) -> int:
    return int(rate * 100 + 0.5)


def split(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = sorted(page.name for page in (ROOT / "docs").glob("*.md") if page.name != "README.md")

    assert [page for page in pages if f"]({page}" not in listed] == []
    assert len(pages) > 20
