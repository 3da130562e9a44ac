import pytest

from batkol.compare.normalisation import words


def normal(text: str) -> list[str]:
    return [word.normal for word in words(text)]


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("שְׁלוֹם, עוֹלָם!", "שלום עולם"),
        ("בְּרֵאשִׁ֖ית", "בראשית"),
        ('ת"ז', "ת״ז"),
        ('ת"ז', "תז"),
        ("צ'ק", "צ׳ק"),
        ("בית־ספר", "בית ספר"),
        ("בית-ספר", "בית ספר"),
        ("מיקרופון", "מיקרופונ"),
        ("עשרים ושלוש", "23"),
        ("מאה עשרים ושלוש שקלים", "123 שקלים"),
        ("מאה וחמש", "105"),
        ("מאתיים", "200"),
        ("שבע מאות", "700"),
        ("אלף תשע מאות ארבעים ושמונה", "1,948"),
        ("שלושת אלפים ומאתיים", "3200"),
        ("חמש עשרה אלף", "15,000"),
        ("שנים עשר", "12"),
        ("שתים עשרה", "12"),
        ("שתיים", "שניים"),
        ("בשלוש", "ב-3"),
        ("בעשרים וחמש במאי", "ב־25 במאי"),
        ("ולחמש", "ול-5"),
        ("אפס חמש ארבע אחת שתיים שלוש", "054-123"),
        ("אפס חמש ארבע אחת שתיים שלוש", "054 123"),
        ("אחת שתיים שלוש ארבע חמש", "12345"),
        ("חמישים אחוז", "50%"),
    ],
)
def test_what_is_written_differently_and_said_alike_is_the_same(written: str, other: str) -> None:
    assert normal(written) == normal(other)
    assert normal(written) != []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("עשרים שלוש", ["20", "3"]),
        ("מאה חמש", ["100", "5"]),
        ("10-15", ["10", "15"]),
        ("שני אנשים", ["שני", "אנשימ"]),
        ("חמש שנים", ["5", "שנימ"]),
        ("סרט מאלף", ["סרט", "מאלפ"]),
        ("3.5", ["3.5"]),
        ("רחוב 10 דירה 5", ["רחוב", "10", "דירה", "5"]),
        ("שש", ["6"]),
        ("", []),
        ("… – !", []),
    ],
)
def test_what_is_not_certain_stays_as_it_is(text: str, kept: list[str]) -> None:
    assert normal(text) == kept


def test_a_word_is_shown_as_it_was_written() -> None:
    assert [word.shown for word in words("שָׁלוֹם, עשרים ושלוש.")] == ["שָׁלוֹם,", "עשרים ושלוש."]
