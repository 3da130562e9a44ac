"""The pages against the tree: every module, path, class and log line that a page names exists."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.files.sources import forget, nodes, parsed

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (
        *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "helm/batkol/README.md")),
        *(ROOT / "docs").glob("*.md"),
    )
)
ABOUT_CODE = ("CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md")
ROOTS = {"batkol": "service", "batkol_otel": "service", "batkol_operator": "operator"}
FOLDERS = ("service", "operator", "tests", "bench", "tools", "helm", "observability", "config")
DOTTED = re.compile(r"_?[a-z][a-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)+")
LOG_LINE = re.compile(r"\[[A-Z]+\] |🟡 Partial: |🟢 Final: ")


@pytest.fixture(scope="module", autouse=True)
def _one_worker() -> Iterator[None]:
    """Have all of these tests in one worker, which forgets the sources after them."""
    yield
    forget(trees)


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the two programs, by its dotted name."""
    found = {}
    for root, folder in ROOTS.items():
        for path in sorted((ROOT / folder / root).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts).removesuffix(".__init__")
            found[name] = parsed(path)
    return found


@cache
def names() -> frozenset[str]:
    """Every name that the code gives to something: classes, functions, fields, attributes."""
    return frozenset(_names())


def _names() -> Iterator[str]:
    for tree in trees().values():
        for node in nodes(tree):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    yield name
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                    yield name


def text_of(node: ast.AST) -> str | None:
    """A literal; what an f-string fills in is an ellipsis."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in values)  # type: ignore[misc]
    return None


@cache
def texts() -> frozenset[str]:
    """Every literal of the code."""
    found = (text_of(node) for tree in trees().values() for node in nodes(tree))
    return frozenset(text for text in found if text is not None)


@cache
def log_texts() -> tuple[str, ...]:
    return tuple(text for text in texts() if LOG_LINE.match(text))


@cache
def files() -> frozenset[str]:
    """Every file and folder of the tree, from its root, with a slash before it."""
    found = (path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder, *(ROOT / folder).rglob("*")))
    return frozenset(f"/{path}" for path in found)


def quoted(page: str) -> list[str]:
    """Texts in backticks outside of code blocks, each on one line."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in (
        r"^ *```.*?^ *```",
        r"<!-- (fault matrix|reply failures): begin.*?<!-- \1: end -->",
    ):  # a run, as it was
        text = re.sub(block, "", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+", " ", found) for found in re.findall(r"`([^`]+)`", text)]


def is_logged(line: str) -> bool:
    """Whether the code has that line; an ellipsis stands for whatever is left out, and fields may follow."""
    for each in (line, re.split(r" \w+=", line)[0]):
        pattern = re.compile(".*".join(re.escape(part) for part in re.split(" ?…", each)))
        if any(pattern.fullmatch(text) for text in log_texts()):
            return True
        if any(filled.fullmatch(each) for filled in _filled()):
            return True
        if any(pattern.fullmatch(stem + text) for stem in _stems(each) for text in texts()):
            return True
    return False


@cache
def _filled() -> tuple[re.Pattern[str], ...]:
    """The lines that the code completes in their middle, with whatever it fills in."""
    open_texts = (text for text in log_texts() if "…" in text and len(text.replace("…", "")) > 30)
    return tuple(re.compile(".+".join(map(re.escape, text.split("…")))) for text in open_texts)


def _stems(line: str) -> list[str]:
    """Beginnings of the line that the code completes with a text from elsewhere."""
    return [text[:-1] for text in log_texts() if text.endswith("…") and line.startswith(text[:-1])]


def is_module(name: str) -> bool:
    """Whether it is a module, or something in one; `batkol.` and `batkol_operator.` may be left out."""
    for full in (name, f"batkol.{name}", f"batkol_operator.{name}"):
        module, _, attribute = full.rpartition(".")
        if full in trees() or (module in trees() and module not in ROOTS and attribute in _top(trees()[module])):
            return True
    return False


def _top(tree: ast.Module) -> set[str]:
    """What a module defines."""
    found = {getattr(node, "name", "") for node in tree.body}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def is_package_word(name: str) -> bool:
    """Whether a dotted name begins like a module of ours; `batkol.call.sid` is an attribute of a span."""
    first = name.partition(".")[0]
    return any(f"{root}.{first}" in trees() for root in ROOTS) or first in ROOTS


def is_key(name: str) -> bool:
    """Whether the code has every part of it as a name or a key: a path in `/v1/status` or in a spec."""
    parts = [re.sub(r"(?<=[a-z])([A-Z])", r"_\1", part).lower() for part in name.split(".")]
    return all(part in names() or part in texts() for part in parts)


def shown(page: str) -> list[str]:
    """Log lines in the code blocks of a page, without their fields."""
    blocks = re.findall(r"^ +(\[[A-Z]+\] .*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return [re.split(r" +\w+=", line)[0] for line in blocks]


@pytest.mark.parametrize("page", PAGES)
def test_every_log_line_on_a_page_is_logged(page: str) -> None:
    lines = [line for line in quoted(page) if LOG_LINE.match(line)] + shown(page)

    assert [line for line in lines if not is_logged(line)] == []


def test_the_changelog_says_what_is_logged_now() -> None:
    news = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## [Unreleased]")[2].partition("\n## [")[0]
    now = [row[1] for row in re.findall(r"^  \| `([^`]+)` \| `([^`]+)` \|$", news, re.MULTILINE)]

    assert [line for line in now if not is_logged(line)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_python_file_on_a_page_exists(page: str) -> None:
    paths = [name for name in quoted(page) if re.fullmatch(r"[\w./]+\.py", name)]

    assert [name for name in paths if not any(each.endswith(f"/{name}") for each in files())] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_dotted_name_on_a_page_exists(page: str) -> None:
    found = [name for name in quoted(page) if DOTTED.fullmatch(name) and is_package_word(name)]
    ours = [name for name in found if not name.endswith((".py", ".json", ".jsonl", ".sqlite", ".yaml", ".damaged"))]

    assert [name for name in ours if not (is_module(name) or name in texts() or is_key(name))] == []


@pytest.mark.parametrize("page", ABOUT_CODE)
def test_every_class_and_folder_on_a_page_about_the_code_exists(page: str) -> None:
    classes = [name for name in quoted(page) if re.fullmatch(r"[A-Z]\w*[a-z]\w*|_\w+", name)]
    folders = [name for name in quoted(page) if re.fullmatch(r"[\w./]+/", name)]

    assert [name for name in classes if name not in names() and name not in texts()] == []
    assert [name for name in folders if not any(f"{each}/".endswith(f"/{name}") for each in files())] == []


def test_every_module_in_a_picture_of_the_architecture_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    pictures = "".join(re.findall(r"^```$.*?^```$", page, flags=re.MULTILINE | re.DOTALL))
    dotted = [match[0] for match in re.finditer(r"\b[a-z][a-z_]*(\.[a-z_]+)+\b(?!/)", pictures)]
    found = [name for name in dotted if is_package_word(name) and not name.endswith(".json")]

    assert len(found) > 10
    assert [name for name in found if not is_module(name)] == []


@pytest.mark.parametrize(("root", "heading"), [("batkol", "### The service"), ("batkol_operator", "### The operator")])
def test_the_architecture_page_draws_the_layers_that_the_linter_checks(root: str, heading: str) -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layers = next(each["layers"] for each in tools["importlinter"]["contracts"] if each.get("containers") == [root])
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    picture = page.partition(heading)[2].split("```")[1].strip("\n")

    assert [re.split(r"\s{2,}", line)[0] for line in picture.splitlines()] == layers


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]

    assert [target for target in targets if not _leads_somewhere((ROOT / page).parent, page, target)] == []


def _leads_somewhere(folder: Path, page: str, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = folder / name if name else ROOT / page
    if not path.exists() or not anchor:
        return path.exists()
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
