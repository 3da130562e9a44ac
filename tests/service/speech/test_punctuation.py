import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.punctuation import punctuate

QUESTIONS = """
מה שלומך
שלום מה שעות הפתיחה שלכם
מתי אפשר להגיע אליכם
איפה אתם נמצאים
כמה זה עולה
למה לא קיבלתי את החשבונית
האם יש לכם משלוחים לחיפה
איך משנים את הסיסמה
הלו מי זה
עם מי אני מדבר
על מה השיחה
עד מתי אתם פתוחים היום
מאיפה אתם שולחים
ומתי זה יגיע
אז כמה זמן צריך לחכות
באיזו שעה התור שלי
ובאיזה סניף זה
ולמי לשלוח את המסמכים
סליחה לאן מגישים את הטופס
תגידי לי בבקשה מה הסטטוס של ההזמנה
התור שלי מחר בעשר נכון
אתם פתוחים גם ביום שישי נכון
זה כולל משלוח או לא
את מי צריך לשאול
סבבה אז מתי נדבר
בשביל מה צריך תעודת זהות
למי אני צריך לפנות
ממתי זה בתוקף
ערב טוב באיזה מספר אפשר להשיג אתכם
דיברנו על זה אתמול לא כך
"""

STATEMENTS = """
אני רוצה לקבוע תור לרופא
שמי דנה כהן
שלום מדבר יוסי
מיכל מדברת
מהבנק התקשרו אליי
נכון
כן זה נכון
זה לא נכון
תודה הכול בסדר
כן זה בסדר
מה פתאום
איזה יופי
מה שאתם מחליטים מקובל עליי
מתי שנוח לכם
אני לא יודע אם הוא יגיע או לא
אני אחכה לכם מחר בבוקר
המספר שלי הוא אפס חמש שתיים
יש לי בעיה עם האינטרנט
לא קיבלתי את החבילה
הזמנתי לפני כמה ימים
מכמה סיבות אני מעדיף לבטל
אני יודע מה אני רוצה
על הטופס כתוב תאריך אחר
תודה רבה להתראות
בוקר טוב
"""


@pytest.mark.parametrize("sentence", QUESTIONS.strip().splitlines())
def test_a_question_ends_in_a_question_mark(sentence: str) -> None:
    assert punctuate(sentence) == f"{sentence}?"


@pytest.mark.parametrize("sentence", STATEMENTS.strip().splitlines())
def test_a_statement_ends_in_a_full_stop(sentence: str) -> None:
    assert punctuate(sentence) == f"{sentence}."


def test_a_yes_or_no_question_told_by_intonation_alone_is_the_known_limit() -> None:
    """Text does not carry intonation, and a wrong question mark is worse than a missing one."""
    assert punctuate("אתם פתוחים היום") == "אתם פתוחים היום."


@pytest.mark.parametrize("marked", ["מה שלומך?", "תודה.", "די!", "רגע…", "אז ככה:", "כן,", "טוב;"])
def test_text_that_has_a_mark_keeps_it(marked: str) -> None:
    assert punctuate(marked) == marked


RLM, LRM, BOM = "\u200f", "\u200e", "\ufeff"


@pytest.mark.parametrize(
    "marked",
    [
        f"מה שלומך?{RLM}",
        f"תודה.{LRM}{RLM}",
        "איפה أنت؟",
        "谢谢。",
        "רגע…",
        'הוא שאל "מה?"',
        "הוא אמר (תודה.)",
        f"הוא שאל «מה?{RLM}»{RLM}",
        "כן！",
        "שמע׃",
    ],
)
def test_a_mark_is_seen_behind_what_closes_it_and_in_any_script(marked: str) -> None:
    assert punctuate(marked) == marked


@pytest.mark.parametrize(
    "question",
    [
        f"{RLM}מתי אפשר להגיע",
        f"{BOM}איפה אתם",
        "מָתַי אפשר להגיע",
        "לָמָּה לא",
        f"שלום {RLM}מה{RLM} שעות הפתיחה",
        '"מתי" אמרת',
        "מה־זה",
    ],
)
def test_a_question_word_is_known_with_niqqud_and_format_characters(question: str) -> None:
    assert punctuate(question) == f"{question}?"


@pytest.mark.parametrize("statement", ["זה עולה 100%", 'הוא אמר "שלום"', f"תודה{RLM}"])
def test_what_is_no_mark_gets_one(statement: str) -> None:
    assert punctuate(statement) == f"{statement}."


@pytest.mark.parametrize("unseen", [RLM, f"{BOM} {RLM}", '"', '""'])
def test_what_has_no_word_gets_no_mark(unseen: str) -> None:
    assert punctuate(unseen) == unseen


@pytest.mark.parametrize("nothing", ["", " ", "\n\t"])
def test_nothing_stays_nothing(nothing: str) -> None:
    """An utterance nobody could make out must not become a lone full stop."""
    assert punctuate(nothing) == ""


@given(st.text())
def test_no_word_is_changed_and_at_most_one_mark_is_added(text: str) -> None:
    marked = punctuate(text)

    assert marked in {text.strip(), f"{text.strip()}.", f"{text.strip()}?"}
    assert punctuate(marked) == marked
