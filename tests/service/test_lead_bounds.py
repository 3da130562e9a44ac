"""What a prompt and a history have of a lead's fields."""

from __future__ import annotations

from batkol.lead_bounds import LONGEST_VALUE, MOST_LEAD, bounded_lead, lead_text


def test_fields_that_are_too_long_or_too_many_are_left_out() -> None:
    lead = {"long": "x" * LONGEST_VALUE, **{f"f{n}": "y" * 100 for n in range(100)}, "last": "z" * 180}
    kept = bounded_lead(lead)

    assert "long" not in kept
    assert MOST_LEAD - 250 < len(lead_text(lead)) <= MOST_LEAD + 2
    assert list(kept)[:3] == ["f0", "f1", "f2"]


def test_a_text_is_one_line_without_invisible_characters() -> None:
    assert lead_text({"name": "Dana\u2028 \u202eand\n\u200bme"}) == '{"name":"Dana and\\nme"}'
