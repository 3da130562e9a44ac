"""YAML read strictly, with the line of everything in it: for files that people write, and errors that they can find.

A text is taken as it is written: `no`, `12:30` and `0500` are texts where a text is due. Anchors and aliases are
refused, so a file is as large as it looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import yaml  # type: ignore[import-untyped]  # has no types

from batkol.errors import BatkolError

DEEPEST: Final = 50
"""Lists and mappings in one another."""
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = frozenset(f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null"))
_KINDS: Final = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}


class YamlError(BatkolError):
    """The file is not what it should be. The text is a sentence and begins with the line."""


@dataclass(frozen=True, slots=True)
class YamlValue:
    """A value of the file, and where it stands. `path` names it in errors."""

    node: Any
    path: str

    @property
    def line(self) -> int:
        """The line, from 1."""
        return int(self.node.start_mark.line) + 1

    def fields(self, *known: str, wanted: str = "") -> Mapping[str, YamlValue]:
        """Return the values of a mapping with no other keys than these. Raises `YamlError`, with what is wanted."""
        keys = ", ".join(f"`{each}`" for each in known)
        self._expect(yaml.MappingNode, wanted or f"a mapping with {keys}")
        found: dict[str, YamlValue] = {}
        for key, value in self.node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            at = YamlValue(value, f"{self.path}.{name}" if self.path else name)
            if name in found:
                YamlValue(key, at.path).refuse("is there twice")
            if known and name not in known:
                where = f"of {self.path}" if self.path else "of a dialogue"
                YamlValue(key, repr(name)).refuse(f"is no key {where}; the keys are {', '.join(known)}")
            found[name] = at
        return found

    def items(self, wanted: str = "") -> Iterator[YamlValue]:
        """Yield the values of a list; a value that is no list is a list of one.

        `wanted`: values of the list are mappings, and what they are. Raises `YamlError`, with what is wanted.
        """
        if wanted and isinstance(self.node, yaml.ScalarNode):
            self._expect(yaml.SequenceNode, wanted)
        if not isinstance(self.node, yaml.SequenceNode):
            yield self
            return
        for number, each in enumerate(self.node.value, 1):
            yield YamlValue(each, f"{self.path}[{number}]")

    def text(self) -> str:
        """Return a text as it is written. Raises `YamlError`."""
        self._expect(yaml.ScalarNode, "a text")
        text = str(self.node.value).strip()
        if not text:
            self.refuse("is empty")
        return text

    def number(self) -> float:
        """Return a number above 0. Raises `YamlError`."""
        value = self.plain()
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            self.refuse("must be a number above 0")
        return value

    def plain(self) -> Any:
        """Return the value as JSON has it. Raises `YamlError`."""
        match self.node:
            case yaml.MappingNode():
                return {name: value.plain() for name, value in self.fields(wanted="a mapping").items()}
            case yaml.SequenceNode():
                return [value.plain() for value in self.items()]
        if self.node.tag not in _PLAIN:
            self.refuse("is a date or a kind that JSON does not have; put quotation marks around it")
        return yaml.constructor.SafeConstructor().construct_object(self.node)

    def refuse(self, why: str) -> NoReturn:
        """Raise `YamlError` about this value."""
        raise YamlError(f"line {self.line}: {self.path or 'the document'} {why}.")

    def _expect(self, kind: type[Any], wanted: str) -> None:
        if not isinstance(self.node, kind):
            found = "empty" if _is_empty(self.node) else _KINDS[type(self.node)]
            self.refuse(f"must be {wanted}, not {found}")


def documents(text: str) -> list[YamlValue]:
    """Return the documents of a file; empty ones are none. Raises `YamlError`."""
    try:
        _check_tokens(text)
        return [YamlValue(node, "") for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if not _is_empty(node)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"line {mark.line + 1 if mark else 1}: is not YAML: {error.problem}.") from None
    except yaml.YAMLError:
        raise YamlError("line 1: is not YAML: it has a character that YAML does not allow.") from None


def _check_tokens(text: str) -> None:
    """Refuse anchors, aliases and values nested too deep for their reader. Raises `YamlError`."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        line = token.start_mark.line + 1
        match token:
            case yaml.AliasToken() | yaml.AnchorToken():
                raise YamlError(f"line {line}: has an anchor or an alias; write the text again.")
            case yaml.FlowSequenceStartToken() | yaml.FlowMappingStartToken():
                depth += 1
            case yaml.BlockSequenceStartToken() | yaml.BlockMappingStartToken():
                depth += 1
            case yaml.FlowSequenceEndToken() | yaml.FlowMappingEndToken() | yaml.BlockEndToken():
                depth -= 1
        if depth > DEEPEST:
            raise YamlError(f"line {line}: has values nested more than {DEEPEST} deep.")


def _is_empty(node: Any) -> bool:
    """Whether nothing is written there."""
    return node is None or (isinstance(node, yaml.ScalarNode) and not node.value and node.style is None)
