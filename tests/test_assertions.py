"""Every test asserts in its own body: what it shows can be read there, and no helper that checks nothing hides that."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TEST = re.compile(r"^( *)(?:async )?def test_\w+\(")
ASSERTION = re.compile(r"^\s+assert\b|\bpytest\.(?:raises|warns|fail)\(")
CALLS = {"pytest.raises", "pytest.warns", "pytest.fail"}


def looks_without(text: str) -> bool:
    """Whether a module may have such a test, by its lines: syntax trees of all modules take seconds."""
    indented, is_in_body, asserts = -1, False, True
    for line in (*text.splitlines(), "end"):
        indent = len(line) - len(line.lstrip())
        if is_in_body and line.strip() and indent <= indented and not asserts:
            return True
        if found := TEST.match(line):
            indented, is_in_body, asserts = len(found[1]), line.endswith(":"), False
        else:
            is_in_body = is_in_body or line.endswith(":")
            asserts = asserts or ASSERTION.search(line) is not None
    return False


def without_assertion(text: str) -> Iterator[str]:
    """Yield the names of the tests of a module that have none."""
    for test in ast.walk(ast.parse(text)):
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_"):
            inside = list(ast.walk(test))
            called = {ast.unparse(each.func) for each in inside if isinstance(each, ast.Call)}
            if not called & CALLS and not any(isinstance(each, ast.Assert) for each in inside):
                yield test.name


def test_every_test_asserts_in_its_own_body() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("test_*.py"))}
    doubtful = {str(path.relative_to(TESTS)): text for path, text in texts.items() if looks_without(text)}

    assert [(path, name) for path, text in doubtful.items() for name in without_assertion(text)] == []
    assert len(texts) > 500


SAMPLE = '''
def test_one() -> None:
    assert True


async def test_two(
    where: str,
) -> None:
    """Its parameters are on lines of their own."""
    await helper()
    if where:
        with pytest.raises(ValueError):
            helper()


class Odd:
    def test_three(self) -> None:
        self.assert_all()

    def helper(self) -> None:
        assert self


def test_four() -> None:
    helper()
    # assert True


def assert_all() -> None:
    assert True
'''


def test_a_test_without_one_is_found() -> None:
    assert list(without_assertion(SAMPLE)) == ["test_four", "test_three"]
    assert looks_without(SAMPLE)


@pytest.mark.parametrize("name", ["one", "two", "three", "four"])
def test_its_lines_show_whether_a_module_may_have_one(name: str) -> None:
    """Each of them alone, with what follows it."""
    pattern = rf"^(?: *)(?:async )?def test_{name}\(.*?(?=\n(?:class|async|def)\b|\Z)"
    (alone,) = re.findall(pattern, SAMPLE, re.MULTILINE | re.DOTALL)

    assert looks_without(alone) is (name in {"three", "four"})
    assert looks_without(f"{alone}\ndef helper() -> None:\n    assert True\n") is (name in {"three", "four"})


@pytest.mark.parametrize("line", ["    assert True", "    pytest.fail('no')", "    with pytest.warns(Warning): work()"])
def test_whatever_may_fail_is_one(line: str) -> None:
    text = f"def test_it() -> None:\n{line}\n"

    assert list(without_assertion(text)) == []
    assert not looks_without(text)
