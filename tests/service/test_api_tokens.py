"""`API_TOKENS`: what is read of it, and what is refused, without a token in any sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batkol import api_tokens
from batkol.rights import ALL_RIGHTS, Grant, Right

ONE, TWO = "Zq7-0123456789abcdef", "Xw3-0123456789abcdef"


def written(**entries: Any) -> str:
    return json.dumps(entries)


def entry(token: object = ONE, may: object = ("status",)) -> dict[str, object]:
    return {"token": token, "may": may}


def test_tokens_are_read_with_their_names_and_rights() -> None:
    text = written(console=entry(may=["status", "texts"]), agent=entry(TWO, [*ALL_RIGHTS]))

    assert api_tokens.read(text) == (
        Grant("console", ONE, frozenset({Right.STATUS, Right.TEXTS})),
        Grant("agent", TWO, ALL_RIGHTS),
    )
    assert api_tokens.read("") == ()


def test_a_token_is_in_no_representation() -> None:
    assert ONE not in repr(api_tokens.read(written(console=entry())))


REFUSED = {
    "no JSON": (f"console={ONE}", "must be JSON"),
    "JSON that ends early": (written(console=entry())[:-1], "from line 1, column"),
    "a wrong escape": (written(console=entry()).replace("Zq7", "\\Zq7"), "from line 1, column"),
    "a number without end": ('{"console": ' + "9" * 5000 + "}", "must be JSON"),
    "brackets in brackets": ("[" * 100_000, "must be JSON"),
    "a text": (f'"{ONE}"', "must be a JSON object of names and tokens"),
    "an array": (f'["{ONE}"]', "must be a JSON object of names and tokens"),
    "nothing in it": ("{}", "has no token"),
    "a name that nobody can read in a log": (written(**{"a b": entry()}), "the name of token 1 must have 1 to 32"),
    "a name of capitals": (written(API_TOKEN=entry()), "the name of token 1 must have 1 to 32"),
    "a long name": (written(**{"a" * 33: entry()}), "the name of token 1 must have 1 to 32"),
    "an empty name": (written(**{"": entry()}), "the name of token 1 must have 1 to 32"),
    "a token for a name": (written(**{ONE.lower(): entry(ONE.lower())}), "the name of token 1 is a token or right"),
    "another's token for a name": (
        written(console=entry(ONE.lower()), **{ONE.lower(): entry(TWO)}), "the name of token 2 is a token or right"
    ),
    "a right for a name": (written(status=entry()), "the name of token 1 is a token or right"),
    "a token where its object belongs": (written(console=ONE), "token 1 must be an object"),
    "a name twice": (f'{{"a": {json.dumps(entry())}, "a": {json.dumps(entry(TWO))}}}', "token 2 (a) has the name of"),
    "no rights": (written(console={"token": ONE}), 'token 1 (console) must have exactly "token" and "may"'),
    "no token": (written(console={"may": ["status"]}), 'token 1 (console) must have exactly "token" and "may"'),
    "something else beside": (written(console={**entry(), "until": 1}), 'must have exactly "token" and "may"'),
    "a token twice": (
        f'{{"console": {{"token": "{ONE}", "token": "{TWO}", "may": ["status"]}}}}', 'must have exactly "token" and'
    ),
    "a token that is no text": (written(console=entry(7)), '"token" of token 1 (console) must be a text'),
    "an empty token": (written(console=entry("")), '"token" of token 1 (console) is empty'),
    "a short token": (written(console=entry(ONE[:15])), '"token" of token 1 (console) must have at least 16'),
    "a token with a space": (written(console=entry(f"{ONE} {TWO}")), "has a space inside, at character 21"),
    "a token with a line break at its end": (written(console=entry(f"{ONE}\n")), "has a line break inside"),
    "a token of letters that no header has": (written(console=entry(f"{ONE}תור")), "not ASCII, at character 21"),
    "a token in quotation marks": (written(console=entry(f'"{ONE}"')), "has quotation marks around it"),
    "a right for all rights": (written(console=entry(may="status")), '"may" of token 1 (console) must be an array'),
    "rights by name": (written(console=entry(may={"status": True})), '"may" of token 1 (console) must be an array'),
    "rights that are none": (written(console=entry(may=[])), '"may" of token 1 (console) must be an array'),
    "an unknown right": (written(console=entry(may=["status", "lines"])), "has an unknown right in place 2"),
    "a token for a right": (written(console=entry(may=[TWO])), "has an unknown right in place 1; the rights are:"),
    "a right of another type": (written(console=entry(may=[["status"]])), "has an unknown right in place 1"),
    "a right twice": (written(console=entry(may=["status", "status"])), "has the right in place 2 twice"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_cannot_work_is_refused_without_a_token(what: str) -> None:
    text, said = REFUSED[what]

    with pytest.raises(ValueError) as refused:
        api_tokens.read(text)

    sentence = str(refused.value)
    assert said in sentence
    for secret in (ONE, TWO, ONE.lower(), ONE[:15], "Zq7", "zq7", "Xw3"):
        assert secret not in sentence


def test_a_token_with_two_names_is_refused_with_both_names() -> None:
    two = [Grant("console", ONE, ALL_RIGHTS), Grant("agent", ONE, frozenset({Right.STATUS}))]

    with pytest.raises(ValueError, match="console and agent have the same token") as refused:
        api_tokens.check_all(two)
    assert "Zq7" not in str(refused.value)


def test_a_name_that_is_the_token_of_another_variable_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="the name of token 2 is another variable's token") as refused:
        api_tokens.check_all([Grant("API_TOKEN", "zq7", ALL_RIGHTS), Grant("zq7", TWO, ALL_RIGHTS)])
    assert "zq7" not in str(refused.value)
