"""Write what the chart has from elsewhere: definition, dashboards, alert rules; README and schema texts by its values.

A chart can read only what is inside it. `generate.py` writes; `generate.py --check` says what would change, and
exits with 1.
"""

# ruff: noqa: INP001 - a script beside the chart, not a package

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.crd import crd

ROOT = Path(__file__).parents[1]
CHART = Path(__file__).parent / "batkol"
COPIES = {
    "files/dashboards/batkol.json": "observability/grafana/batkol.json",
    "files/dashboards/batkol-operator.json": "observability/grafana/batkol-operator.json",
    "files/rules/batkol.rules.yaml": "observability/prometheus/batkol.rules.yaml",
    "files/rules/batkol-operator.rules.yaml": "observability/prometheus/batkol-operator.rules.yaml",
}
MARK = "<!-- values: from the comments in values.yaml, by `make chart` -->"
RIGHTS = "<!-- rights: from templates/_helpers.tpl, by `make chart` -->"
END = "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Value:
    """A documented value: `networkPolicy.enabled`, its default as JSON, and its comment."""

    path: str
    default: str
    text: str


def documented(text: str) -> Iterator[Value]:
    """Find every key under a `# --` comment. Keys are indented by two for each level, as in the whole file."""
    values = yaml.safe_load(text)
    path: list[str] = []
    comment = ""
    for line in text.splitlines():
        if comment_line := re.match(r"\s*# -- (.*)", line):
            comment = comment_line[1]
        elif found := re.match(r"((?:  )*)([A-Za-z]\w*):", line):
            del path[len(found[1]) // 2 :]
            path.append(found[2])
            if comment:
                yield Value(".".join(path), _default(values, path), comment)
                comment = ""


def undocumented(text: str) -> set[str]:
    """Return the leaves that no comment, nor one above them, speaks of."""
    described = {value.path for value in documented(text)}

    def leaves(value: object, path: str) -> Iterator[str]:
        if path in described:
            return
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from leaves(inner, f"{path}.{key}" if path else key)
        else:
            yield path

    return set(leaves(yaml.safe_load(text), ""))


def _default(values: Any, path: list[str]) -> str:
    for key in path:
        values = values[key]
    return json.dumps(values)


def readme(text: str, values: str, helpers: str) -> str:
    """Return README.md with its two generated parts anew."""
    rows = [f"| `{each.path}` | {_cell(each.default)} | {each.text} |" for each in documented(values)]
    table = "\n".join(["| value | default | what |", "|---|---|---|", *rows])
    rules = re.search(r'define "batkol.rules" -}}\n(.*?)\{\{- range', helpers, re.DOTALL)
    children = re.search(r'define "batkol.children" -}}\n(.*?)\{\{- end', helpers, re.DOTALL)
    if rules is None or children is None:
        raise SystemExit(
            "templates/_helpers.tpl defines batkol.rules or batkol.children otherwise than this reads them."
        )
    rights = _rights(yaml.safe_load(rules[1]), yaml.safe_load(children[1]))
    return _between(_between(text, MARK, table), RIGHTS, rights)


def _rights(rules: list[dict[str, Any]], children: dict[str, list[str]]) -> str:
    every = "list, watch, create, patch, delete"
    rows = [
        f"| {_groups(rule['apiGroups'])} | {', '.join(rule['resources'])} | {', '.join(rule['verbs'])} |"
        for rule in rules
    ]
    rows += [f"| {_groups([group])} | {', '.join(resources)} | {every} |" for group, resources in children.items()]
    rows.append("| `kopf.dev` | clusterkopfpeerings, or kopfpeerings | list, watch; get, patch of `peeringName` |")
    rows.append("| `apiextensions.k8s.io` | customresourcedefinitions, in all namespaces only | list, watch |")
    return "\n".join(["| group | resources | verbs |", "|---|---|---|", *rows])


def _groups(groups: list[str]) -> str:
    return ", ".join(f"`{group}`" if group else "core" for group in groups)


def _cell(default: str) -> str:
    if len(default) > 40:
        return "see values.yaml"
    return f"`{default}`" if default not in {'""', "{}", "[]"} else ""


def _between(text: str, mark: str, content: str) -> str:
    before, rest = text.split(mark)
    return f"{before}{mark}\n\n{content}\n\n{END}{rest.split(END, 1)[1]}"


def schema(text: str, values: str) -> str:
    """Return values.schema.json with the comments as descriptions."""
    document: dict[str, Any] = json.loads(text)
    for value in documented(values):
        place = document
        for key in value.path.split("."):
            place = place["properties"][key]
        place["description"] = value.text
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def definition() -> str:
    """Return the CustomResourceDefinition as `batkol-operator crd` prints it."""
    return str(yaml.safe_dump(crd(), sort_keys=False, allow_unicode=True, width=120))


def wanted() -> dict[Path, str]:
    """Return what every generated file should hold."""
    values = (CHART / "values.yaml").read_text()
    helpers = (CHART / "templates/_helpers.tpl").read_text()
    files = {CHART / inside: (ROOT / outside).read_text() for inside, outside in COPIES.items()}
    files[CHART / "files/crds/voiceagents.yaml"] = definition()
    files[CHART / "README.md"] = readme((CHART / "README.md").read_text(), values, helpers)
    files[CHART / "values.schema.json"] = schema((CHART / "values.schema.json").read_text(), values)
    return files


def main() -> int:
    """Write, or say what would be written."""
    stale = [path for path, content in wanted().items() if not path.exists() or path.read_text() != content]
    if "--check" in sys.argv:
        sys.stdout.writelines(f"{path.relative_to(ROOT)} is not what `make chart` would write\n" for path in stale)
        return 1 if stale else 0
    for path, content in wanted().items():
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
