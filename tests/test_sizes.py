"""The sizes of what the product is made of: a module has one concept, and a function is read without turning a page."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.files.sources import forget, nodes, parsed

ROOT = Path(__file__).parents[1]
FOLDERS = ("service", "operator")
MODULE, FUNCTION = 300, 45
"""The most lines of each, from the first to the last, with docstrings and comments. What would be longer has a second
concept in it, which gets a name and a place: no file of leftovers, and no lines that are pressed together.
"""


@pytest.fixture(scope="module", autouse=True)
def _one_worker() -> Iterator[None]:
    """Have all of these tests in one worker, which forgets the sources after them."""
    yield
    forget()


def long_functions(tree: ast.Module) -> list[tuple[str, int]]:
    """Name and length of each function that is too long, without its decorators."""
    found = [node for node in nodes(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in found]
    return [(name, lines) for name, lines in lengths if lines > FUNCTION]


@pytest.mark.parametrize(("ending", "least"), [("py", 800), ("js", 20)])
def test_every_module_of_the_product_has_300_lines_at_most(ending: str, least: int) -> None:
    lines = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob(f"*.{ending}")
    }

    assert {name: count for name, count in lines.items() if count > MODULE} == {}
    assert len(lines) > least


def test_every_function_of_the_product_has_45_lines_at_most() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]

    assert [(str(path.relative_to(ROOT)), *each) for path in paths for each in long_functions(parsed(path))] == []


@pytest.mark.parametrize(("body", "too_long"), [(FUNCTION - 1, []), (FUNCTION, [("work", FUNCTION + 1)])])
def test_a_function_is_measured_from_its_name_to_its_last_line(body: int, too_long: list[tuple[str, int]]) -> None:
    tree = ast.parse("@cache\nasync def work():\n" + "    await step()\n" * body)

    assert long_functions(tree) == too_long
