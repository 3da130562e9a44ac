"""A file with environment variables, such as `.env`: `NAME=value` a line, as python-dotenv reads it.

What the environment has goes before what the file has. Nothing inside a value is replaced: `$` stands for itself.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

from dotenv.parser import Binding, parse_stream

from batkol.environment import stripped
from batkol.errors import ConfigurationError

LARGEST: Final = 1 << 20
"""Bytes of such a file."""

_ALIKE: Final = 0.8
"""Likeness (`difflib`) from which a name is taken for a misspelt one."""


class EnvFile(NamedTuple):
    """The content of a file."""

    path: Path
    variables: Mapping[str, str]
    seen_by_others: bool
    """Whether other users of the machine may read or change it."""


def read(path: Path) -> EnvFile:
    """Read a file. Raises `ConfigurationError`, which names lines and variables and quotes no value."""
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the file {path} cannot be read ({error.strerror}); name a file with NAME=value lines in --env-file"
        ) from error
    if len(content) > LARGEST:
        raise ConfigurationError(f"the file {path} has more than {LARGEST} bytes; it is no file of variables")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"the file {path} is not UTF-8; save it as UTF-8") from None
    seen = stat.S_ISREG(mode) and bool(mode & 0o077)
    return EnvFile(path, _variables(path, parse_stream(StringIO(text))), seen)


def _variables(path: Path, bindings: Iterator[Binding]) -> dict[str, str]:
    """Return the variables. A line that would silently mean nothing is refused."""
    lines: dict[str, int] = {}
    variables: dict[str, str] = {}
    for name, value, original, unreadable in bindings:
        line = original.line + _blank_lines(original.string)
        if unreadable:
            raise ConfigurationError(
                f"line {line} of {path} cannot be read; write NAME=value, and close quotation marks"
            )
        if name is None:
            continue
        if "\0" in name or "=" in name or "\0" in (value or ""):
            raise ConfigurationError(
                f"line {line} of {path} has a character that no variable can have (NUL, or = in a name); remove it"
            )
        if value is None:
            raise ConfigurationError(f"line {line} of {path}: {name} has no value; write {name}=value")
        if name in lines:
            raise ConfigurationError(
                f"line {line} of {path} sets {name}, as line {lines[name]} does; remove one of them"
            )
        lines[name], variables[name] = line, value
    return variables


def _blank_lines(text: str) -> int:
    """Return the number of line breaks before what is written."""
    return text[: len(text) - len(text.lstrip())].count("\n")


def apply(file: EnvFile, environ: MutableMapping[str, str]) -> frozenset[str]:
    """Set the variables that the environment does not have. Returns the names of the others."""
    there = {name.upper() for name in environ}
    known = frozenset(name for name in file.variables if name.upper() in there)
    environ.update({name: value for name, value in file.variables.items() if name not in known})
    return known


def misspelt(file: EnvFile, settings: Collection[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the names in the file that no setting has and one nearly has, each with that one.

    A name that a value mentions, such as the `keyEnv` of an answerer, is no misspelling.
    """
    named = " ".join((*file.variables.values(), *environ.values()))
    found = {}
    for name in file.variables:
        written = stripped(name).upper()
        if written in settings or f'"{name}"' in named:
            continue
        if near := difflib.get_close_matches(written, settings, n=1, cutoff=_ALIKE):
            found[name] = near[0]
    return found
