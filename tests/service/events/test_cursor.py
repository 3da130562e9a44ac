import pytest

from batkol.events.cursor import Cursor, MalformedCursorError

BOOT = "0123456789abcdef"


@pytest.mark.parametrize("number", [0, 1, 10, 10**17])
def test_a_cursor_reads_as_it_is_written(number: int) -> None:
    assert Cursor.parse(str(Cursor(BOOT, number))) == Cursor(BOOT, number)


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "7", f"{BOOT}", f"{BOOT}-", f"{BOOT}--1", f"{BOOT}-01", f"{BOOT}-1 ", f" {BOOT}-1", f"{BOOT}-1\n",
        f"{BOOT}-{10**18}", f"{BOOT}-\N{ARABIC-INDIC DIGIT ONE}", f"{BOOT.upper()}-1", f"{BOOT}0-1", f"{BOOT[1:]}-1",
        f"{BOOT}-1x", f"MZ{'0' * 32}-1",
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(MalformedCursorError):
        Cursor.parse(text)
