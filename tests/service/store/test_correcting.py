"""`batkol correct` on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.errors import ConfigurationError
from batkol.store.correcting import CorrectOptions, carry_out_correction
from batkol.store.postgres.erase import complete_erasures
from batkol.terminal_text import isolated
from support.network.ports import free_port
from support.postgres.records import began, heard, revised, sid, who
from support.postgres.sql import sql
from support.postgres.store_parts import Kept

SAID = "רציתי לקבוע תור"


async def correct(kept: Kept, number: int | None = None, call: int = 0, **options: Any) -> list[str]:
    said: list[str] = []
    chosen = CorrectOptions(**{"call_sid": sid(call), "number": number, "by": "dana", **options})
    assert await carry_out_correction(kept.where.dsn, chosen, write_line=said.append) == 0
    return said


async def test_a_call_is_listed_and_corrected_by_the_numbers_of_the_list(kept: Kept) -> None:
    kept.say([began(), heard(0), revised(0), heard(1, text="", source="none"), began(who(0, 1)), heard(0, who(0, 1))])
    await kept.written()

    assert await correct(kept) == [
        f"   1. {isolated(revised(0).text)}", "   2. (nothing)", f"   3. {isolated(heard(0).text)}",
    ]  # fmt: skip
    assert await correct(kept, 3, text=f" {SAID} ") == [f"corrected: {isolated(SAID)}"]
    assert await correct(kept, 2, text="") == ["corrected: (nothing)"]
    assert await correct(kept, rest_as_heard=True) == ["1 utterance was right as it was heard"]
    listed = await correct(kept)
    assert [line.partition("  [dana, ")[0] for line in listed] == [
        f"   1. {isolated(revised(0).text)}  right",
        "   2. (nothing)  right",
        f"   3. {isolated(heard(0).text)}  → {isolated(SAID)}",
    ]
    assert await correct(kept, 1, remove=True) == ["the correction was removed"]
    assert await correct(kept, 1, remove=True) == ["the utterance had no correction"]
    assert await correct(kept, 1, as_heard=True) == [f"corrected: {isolated(revised(0).text)}"]
    rows = await sql(kept.where, "SELECT stream_sid, index, text, corrected_by FROM corrections ORDER BY 1, 2")
    assert [tuple(row.values()) for row in rows] == [
        (who().stream_sid, 0, revised(0).text, "dana"),
        (who().stream_sid, 1, "", "dana"),
        (who(0, 1).stream_sid, 0, SAID, "dana"),
    ]


async def test_a_name_that_is_no_text_or_steers_a_terminal_is_kept_and_shown_without_that(kept: Kept) -> None:
    kept.say([began(), heard(0)])
    await kept.written()
    await correct(kept, 1, text=SAID, by=f"da\udcffna\x1b[2J{'a' * 600}")

    (line,) = await correct(kept)
    (row,) = await sql(kept.where, "SELECT corrected_by FROM corrections")
    assert (row["corrected_by"][:6], len(row["corrected_by"])) == ("da?na\x1b", 480)
    assert "\x1b" not in line
    assert "[da?na [2Jaa" in line


@pytest.mark.parametrize(
    ("number", "options", "why"),
    [
        (2, {"text": SAID}, "the call has 1 utterance, and none has the number 2"),
        (None, {"text": SAID}, "say which utterance"),
        (1, {}, "say what was said"),
        (1, {"text": SAID, "remove": True}, "give one of these"),
        (1, {"rest_as_heard": True}, "--rest-as-heard is for a whole call"),
        (1, {"text": "א" * 20_001}, "more than 20000 characters"),
        (1, {"text": SAID, "call": 7}, "there is no call with this SID"),
    ],
)
async def test_what_cannot_be_corrected_is_refused(
    kept: Kept, number: int | None, options: dict[str, Any], why: str
) -> None:
    kept.say([began(), heard(0)])
    await kept.written()

    with pytest.raises(ConfigurationError, match=why):
        await correct(kept, number, **options)
    assert await sql(kept.where, "SELECT * FROM corrections") == []


async def test_an_erased_call_cannot_be_corrected_and_an_older_versions_erasure_is_completed(kept: Kept) -> None:
    """An older version erases the texts of utterances, marks the call, and knows no corrections."""
    kept.say([began(), heard(0)])
    await kept.written()
    await correct(kept, 1, text=SAID)
    await sql(kept.where, "UPDATE calls SET erased_at = now()")

    with pytest.raises(ConfigurationError, match="the call was erased"):
        await correct(kept, rest_as_heard=True)
    assert await complete_erasures(kept.database.reading) == 1
    assert await sql(kept.where, "SELECT * FROM corrections") == []


async def test_a_database_that_is_away_is_named() -> None:
    where = f"postgresql://u:secret@127.0.0.1:{free_port()}/calls?sslmode=disable"
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1.* cannot be used") as raised:
        await carry_out_correction(where, CorrectOptions(call_sid=sid()), write_line=print)
    assert "secret" not in str(raised.value)
