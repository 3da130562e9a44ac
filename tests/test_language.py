"""The rules of words (docs/glossary.md): one meaning a class name, a known prefix a log line, a noun a docstring."""

import ast
import io
import json
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER
from support.files.sources import forget, nodes, parsed

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
PACKAGES = ("service/batkol", "service/batkol_otel", "operator/batkol_operator")
GLOSSARY = ROOT / "docs" / "glossary.md"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
QUESTION = re.compile(
    r"(What|How|When|Which|Who|Whom|Whose|Where|Why|Whether|Whoever|Whatever|Does|Is|Are|Can)\b",
)

PLAIN = (*PACKAGES, "helm", "tools", "bench")
"""Folders whose every text is plain: no persons that are not there, no pronoun without its noun."""
OF_OPTIONS = (
    "service/batkol/chat/command.py", "service/batkol/compare/command.py", "service/batkol/main.py",
    "operator/batkol_operator/main.py",
)  # fmt: skip
"""Modules whose aliases are options of the command line, beside those of `batkol.commands`."""
IN_BOTH_PROGRAMS = {"AnswererKind", "VoiceKind"}
"""Names of the same thing in the service and in the operator, which share no code."""
PLURAL = re.compile(
    r" (?:(?:dead|false|more|other|single|streaming|tool) )?(agents|calls(?! tools)|channels|corrections|entries|"
    r"errors|events|fields|files|finals|flags|gaps|interruptions|leads|letters|objects|partials|parts|pods|"
    r"recordings|records|refusals|replies|requests|rows|sentences|sessions|sinks|sounds|streams|summaries|times|"
    r"tokens|turns|utterances|warnings|words)\b",
)
"""Begins after a number, and is wrong after 1."""
STORED = ("service/batkol/store/migrations/", "service/batkol/store/postgres/schema.py")
"""Their texts are comments in databases: only a migration could change one."""
NO_PERSON = re.compile(r"\b(somebody|anybody|nobody|whoever|told|ours|(is|are) meant)\b", re.IGNORECASE)
NO_NOUN = re.compile(r"(It|Its|Of|They|Them|These|Those|This|Ours|Theirs)\b(?! (call|page|version|pod|service))")
NO_SUBJECT = re.compile(
    r"(What|How|When|Where|Why|Which|Who|Whom|Whose|Whoever|Whatever|It|Its|They|Them|Their|These|Those|This|That|Of|Ours|"
    r"Theirs|And|So|There)\b(?! (call|page|version|pod|service|process|stream))",
)
"""Beginnings of a docstring that neither names a thing nor tells what to do."""
NO_OBJECT = re.compile(r"(?!Whether\b)[A-Z][a-z]+ (it|them)\b")
"""Beginnings that tell what to do, and not with what: "End it."."""
UNITS = {"seconds": "second", "bytes": "byte", "latency": "second", "lag": "second", " ms": "millisecond"}
"""What a metric's name or unit ends in, and the word that its help text must then have."""


@pytest.fixture(scope="module", autouse=True)
def _one_worker() -> Iterator[None]:
    """Have all of these tests in one worker, which forgets the sources after them."""
    yield
    forget(modules)


@cache
def modules(packages: tuple[str, ...] = PACKAGES) -> dict[str, ast.Module]:
    found = sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))
    return {str(path.relative_to(ROOT)): parsed(path) for path in found}


def log_lines(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The literal beginnings of what is logged; a line that is looked up in a table is told of by its name."""
    bound = log_methods(tree)
    for node in nodes(tree):
        if isinstance(node, ast.Call) and node.args and (is_log_method(node.func) or ast.unparse(node.func) in bound):
            match node.args[0]:
                case ast.Constant(str(text)):
                    yield node.lineno, text
                case ast.JoinedStr([ast.Constant(str(text)), *_]):
                    yield node.lineno, text
                case ast.Name():
                    pass  # a parameter: what is handed over is told of by `prefixed`
                case other:
                    yield node.lineno, ast.unparse(other)


def bare_numbers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The texts that put a number before a plural: with 1 they are wrong, and `quantity` has both words.

    A limit is a constant, and never 1; so is not meant what follows `of` or a slash, the whole that a part is taken of.
    """
    for node in nodes(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        before = ""
        for part, behind in pairwise((*node.values, ast.Constant(""))):
            if isinstance(part, ast.Constant):
                before = str(part.value)
            elif isinstance(part, ast.FormattedValue):
                value, text = ast.unparse(part.value), getattr(behind, "value", "")
                whole = before.endswith((" of ", "/"))
                if not whole and not value.isupper() and "quantity(" not in value and PLURAL.match(str(text)):
                    yield node.lineno, f"{{{value}}}{text}"
                before = ""


def is_log_method(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in LEVELS and "log" in ast.unparse(node.value).lower()


def log_methods(tree: ast.Module) -> set[str]:
    """The variables that a module binds to a method of a logger: `log_failure = log.warning if often else log.info`."""
    bound = set()
    for node in nodes(tree):
        if isinstance(node, ast.Assign):
            called = {id(each.func) for each in ast.walk(node.value) if isinstance(each, ast.Call)}
            methods = (each for each in ast.walk(node.value) if isinstance(each, ast.Attribute) and is_log_method(each))
            if any(id(method) not in called for method in methods):
                bound |= {ast.unparse(target) for target in node.targets}
    return bound


def prefixed(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text that begins like a log line, wherever it stands."""
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.match(r"\[[A-Z]+\] ", node.value):
            yield node.lineno, node.value


def tables(tree: ast.Module) -> dict[str, list[str]]:
    """Module-level dictionaries of texts, by name: `REFUSED[reason]` is one of their values."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Dict):
            texts = [value.value for value in node.value.values if isinstance(value, ast.Constant)]
            found[node.target.id] = [text for text in texts if isinstance(text, str)]
    return found


@cache
def prefixes() -> tuple[str, ...]:
    section = GLOSSARY.read_text(encoding="utf-8").partition("## Log prefixes")[2]
    return tuple(re.findall(r"`(\[[A-Z]+\]|🟡 Partial:|🟢 Final:)`", section))


def aliases_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name and meaning of each public name for a type that a module has."""
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, ast.expr() as value):
                meaning = ast.unparse(value)
                if re.fullmatch("[A-Z][a-zA-Z]*[a-z][a-zA-Z]*", name) and not re.match(
                    r"(TypeVar|ParamSpec)\(", meaning
                ):
                    yield name, meaning


def test_every_public_class_name_means_one_thing() -> None:
    places = defaultdict(list)
    for name, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)

    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_every_public_alias_means_one_thing_and_is_no_class() -> None:
    """Types of fields (`Annotated`) are bounds, and may be alike; options of the command line are no types."""
    of = {name: tree for name, tree in modules().items() if name not in OF_OPTIONS and "/commands/" not in name}
    classes = {node.name for tree in of.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    aliases = [alias for tree in of.values() for alias in aliases_of(tree)]
    calls = {name: {value for each, value in aliases if each == name and "Callable[" in value} for name, _ in aliases}

    assert sorted({name for name, _ in aliases} & classes - IN_BOTH_PROGRAMS) == []
    assert {name: values for name, values in calls.items() if len(values) > 1} == {}
    assert len(aliases) > 100


@pytest.mark.parametrize("package", PACKAGES)
def test_every_log_line_begins_with_a_prefix_of_the_glossary(package: str) -> None:
    unknown = []
    for name, tree in modules().items():
        for line, text in (*log_lines(tree), *prefixed(tree)) if name.startswith(package) else ():
            texts = tables(tree).get(text.partition("[")[0], [text])
            unknown += [f"{name}:{line} {each}" for each in texts if not each.startswith(prefixes())]

    assert unknown == []


def test_a_log_line_is_seen_through_a_variable() -> None:
    tree = ast.parse('tell = self._log.warning if often else self._log.info\ntell("pass failed", kind=kind)')

    assert list(log_lines(tree)) == [(2, "pass failed")]


def test_no_module_docstring_begins_with_a_question_word() -> None:
    docstrings = {name: ast.get_docstring(tree) or "" for name, tree in modules().items()}

    assert [name for name, text in docstrings.items() if QUESTION.match(text)] == []


def test_every_package_says_its_one_concept_in_a_line() -> None:
    packages = {
        name: ast.get_docstring(tree) or "" for name, tree in modules().items() if name.endswith("/__init__.py")
    }

    assert [name for name, text in packages.items() if not text.partition("\n")[0].endswith(".")] == []
    assert len(packages) > 50


def prose(name: str) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and literals of more than one word, without what is in backticks; none in a clean file."""
    source = (ROOT / name).read_text(encoding="utf-8")
    if not NO_PERSON.search(source):
        return
    found = [
        (node.lineno, node.value)
        for node in nodes(modules(PLAIN)[name])
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip()
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found += [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    for line, text in found:
        yield line, re.sub(r"`[^`]*`", "", text)


def explained(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, subject and text of each help text: of a metric, a setting, a parameter, an option of a command."""
    for node in nodes(tree):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            match keyword:
                case ast.keyword("help" | "description", ast.Constant(str(text))):
                    yield node.lineno, "", text
        match node.args:
            case [ast.Constant(str(name)), *rest] if re.fullmatch(r"batkol(\.[a-z_]+)+", name):
                texts = [each.value for each in rest if isinstance(each, ast.Constant) and isinstance(each.value, str)]
                help_text = next((text for text in texts if " " in text), "")
                unit = next((text for text in texts if " " not in text and not text.startswith("{")), "")
                yield node.lineno, f"{name} {unit}".strip(), help_text


@pytest.mark.parametrize("package", PLAIN)
def test_no_text_speaks_of_persons_that_are_not_there(package: str) -> None:
    assert [
        f"{name}:{line} {found[0]}"
        for name in modules(PLAIN)
        if name.startswith(f"{package}/") and not name.startswith(STORED)
        for line, text in prose(name)
        if (found := NO_PERSON.search(text))
    ] == []


def test_no_text_of_the_console_speaks_of_persons_that_are_not_there() -> None:
    paths = sorted((ROOT / "service/batkol/web/console").rglob("*.*"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths if path.suffix in {".js", ".css", ".html"}}

    assert [(name, found[0]) for name, text in texts.items() for found in NO_PERSON.finditer(text)] == []
    assert len(texts) > 40


@pytest.mark.parametrize("package", PLAIN)
def test_every_docstring_begins_with_a_noun_or_a_verb(package: str) -> None:
    assert [
        f"{name}:{line} {text.strip().splitlines()[0]}"
        for name, tree in modules(PLAIN).items()
        if name.startswith(f"{package}/") and not name.startswith(STORED)
        for line, text in docstrings(tree)
        if NO_SUBJECT.match(text.strip()) or NO_OBJECT.match(text.strip())
    ] == []


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes, functions, and of the names above them."""
    for node in nodes(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            match each:
                case ast.Expr(ast.Constant(str(text))):
                    yield each.lineno, text


@pytest.mark.parametrize(("package", "least"), [("service/batkol", 150), ("operator/batkol_operator", 15)])
def test_every_help_text_is_a_sentence_that_names_its_subject_and_its_unit(package: str, least: int) -> None:
    bad, seen = [], 0
    for name, tree in modules().items():
        for line, subject, text in explained(tree) if name.startswith(f"{package}/") else ():
            seen += 1
            unit = next((word for end, word in UNITS.items() if subject.endswith(end)), "")
            if NO_NOUN.match(text) or unit not in text.lower() or (subject and not text.endswith(".")):
                bad.append(f"{name}:{line} {subject} {text}")

    assert bad == []
    assert seen > least


def panels() -> Iterator[tuple[str, str]]:
    """Title and description of each panel of the dashboards; the title of each row."""
    for path in sorted((ROOT / "observability" / "grafana").glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield panel["title"], panel.get("description", "The row." if panel["type"] == "row" else "")


def alerts() -> Iterator[tuple[str, str]]:
    """Summary and description of each alert."""
    for path in sorted((ROOT / "observability" / "prometheus").glob("*.rules.yaml")):
        groups = yaml.load(path.read_text(encoding="utf-8"), LOADER)["groups"]
        for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
            yield rule["annotations"]["summary"], rule["annotations"]["description"]


@pytest.mark.parametrize(("texts", "least"), [(panels, 60), (alerts, 25)])
def test_every_panel_and_alert_is_plain(texts: Callable[[], Iterator[tuple[str, str]]], least: int) -> None:
    """A title has a noun, a description is sentences with a subject each; no persons that are not there."""
    found = list(texts())
    bad = [
        text
        for title, description in found
        for text in (title, *re.split(r"(?<=[.:]) ", description))
        if QUESTION.match(text) or NO_NOUN.match(text) or NO_PERSON.search(text)
    ]

    assert bad == []
    assert [title for title, description in found if title.endswith(".") or not description.endswith(".")] == []
    assert len(found) > least


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs", "helm/batkol/README.md"])
def test_no_page_speaks_of_persons_that_are_not_there(page: str) -> None:
    paths = sorted((ROOT / page).glob("*.md")) if (ROOT / page).is_dir() else [ROOT / page]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        text = re.sub(
            r"<!-- (fault matrix|reply failures): begin.*?<!-- \1: end -->", "", text, flags=re.DOTALL
        )  # of a run
        assert [found[0] for found in NO_PERSON.finditer(re.sub(r"`[^`]*`", "", text))] == [], path.name


def test_the_glossary_explains_each_term_once() -> None:
    terms = re.findall(r"^\| \*\*([^*]+)\*\*", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(terms) > 50
    assert len(terms) == len(set(terms))


def test_a_word_in_bold_is_explained_once_in_the_whole_glossary() -> None:
    rows = re.findall(r"^\| \*\*.*", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    words = Counter(word.lower() for row in rows for word in re.findall(r"\*\*([^*]+)\*\*", row))

    assert [word for word, times in words.items() if times > 1] == []
    assert len(words) > 100


def test_a_number_and_its_noun_agree() -> None:
    found = [(where, line, text) for where, tree in modules().items() for line, text in bare_numbers(tree)]

    assert found == []


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ('f"{count} utterances were right"', ["{count} utterances were right"]),
        ('f"{len(x)} more refusals"', ["{len(x)} more refusals"]),
        ('f"{more} times {reason}"', ["{more} times "]),
        ('f"{right} of {total} words"', []),
        ('f"more than {MOST} streams"', []),
        ("""f"{quantity(count, 'word')} heard" """, []),
    ],
)
def test_a_number_before_a_plural_is_found(source: str, texts: list[str]) -> None:
    assert [text for _, text in bare_numbers(ast.parse(source))] == texts
