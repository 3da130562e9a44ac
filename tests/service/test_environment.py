"""What is taken off the ends of an environment variable, and what is refused inside it."""

from __future__ import annotations

import pytest

from batkol.environment import check_line, check_token, remove_reserved, strip_variables, stripped

UNSEEN = ["\n", "\r\n", "\t", " ", "\u00a0", "\ufeff", "\u200b", "\u200f", "\u2028", "\u2066", "\x7f", "\u3000"]


@pytest.mark.parametrize("unseen", UNSEEN)
def test_what_cannot_be_seen_is_taken_off_both_ends(unseen: str) -> None:
    assert stripped(f"{unseen}{unseen}https://voice.example.com{unseen}") == "https://voice.example.com"
    assert stripped(unseen * 3) == ""


def test_hebrew_and_what_is_inside_stay() -> None:
    assert stripped('["תור דחוף", "מרפאה"]\n') == '["תור דחוף", "מרפאה"]'


def test_the_environment_of_the_process_is_stripped_for_libraries_and_options_too() -> None:
    environ = {"KUBECONFIG": "/config\n", "FLAGD_HOST": "\ufeffflagd", "PATH": "/bin", "EMPTY": "\r\n"}

    strip_variables(environ)

    assert environ == {"KUBECONFIG": "/config", "FLAGD_HOST": "flagd", "PATH": "/bin", "EMPTY": ""}


def test_what_only_a_voice_agent_may_set_is_removed_in_any_case_of_its_letters() -> None:
    environ = {
        "SPEC_SETS": "API_TOKEN,HOST",
        "SPEC_UNSETS": "STREAM_SECRET,STORE",
        "API_TOKEN": "the operator's",
        "Api_Token": "by envFrom",
        "STREAM_SECRET": "by envFrom",
        "store": "none",
        "https_proxy": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
        "SUMMARY": "a team's own",
    }

    assert remove_reserved(environ) == ["Api_Token", "STREAM_SECRET", "store"]
    assert environ["API_TOKEN"] == "the operator's"
    assert {"https_proxy", "HTTPS_PROXY", "SUMMARY"} <= environ.keys()
    assert remove_reserved({"STREAM_SECRET": "on a laptop"}) == []


@pytest.mark.parametrize("unseen", UNSEEN)
def test_inside_a_value_it_is_refused_with_its_place_and_without_the_value(unseen: str) -> None:
    with pytest.raises(ValueError, match="inside, at character 4") as raised:
        check_line(f"Zq7{unseen}Xw3")
    assert "Zq7" not in str(raised.value)
    assert "Xw3" not in str(raised.value)


@pytest.mark.parametrize(
    ("unseen", "named"), [("\n", "a line break"), (" ", "a space"), ("\u200b", "ZERO WIDTH SPACE")]
)
def test_what_is_refused_is_named(unseen: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        check_line(f"a{unseen}b")


def test_a_byte_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(ValueError, match=r"invisible character \(U\+DCE9\)"):
        check_line("caf\udce9e")


def test_bytes_that_are_no_utf8_are_not_taken_off_the_ends_for_they_were_letters() -> None:
    assert stripped(" \udcf9\udcec\udced\n") == "\udcf9\udcec\udced"


def test_a_path_may_have_a_space_and_no_tab() -> None:
    check_line("/var/lib/my calls", spaces=True)
    with pytest.raises(ValueError, match="a tab"):
        check_line("/var/lib/my\tcalls", spaces=True)


@pytest.mark.parametrize("value", ['"Zq7"', "'Zq7'", "\u201cZq7\u201d", "`Zq7`"])
def test_quotation_marks_around_a_value_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="has quotation marks around it") as raised:
        check_line(value)
    assert "Zq7" not in str(raised.value)


def test_one_quotation_mark_is_part_of_a_value() -> None:
    for value in ("it's", '"'):
        check_line(value)
        assert stripped(f" {value}\n") == value


def test_a_token_is_what_an_http_header_carries() -> None:
    check_token("abc-_.~+/=09AZ!")
    with pytest.raises(ValueError, match="not ASCII, at character 4"):
        check_token("Zq7é")
