"""The option `--env-file` of the commands that are set by variables."""

# ruff: noqa: PLC0415 - what is needed only with a file is imported with one

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from batkol.commands.shared import refuse
from batkol.environment import strip_variables
from batkol.errors import ConfigurationError
from batkol.paths import is_file, is_hidden
from batkol_otel.environment import mend

DEFAULT: Final = Path(".env")
FILE: Final = "batkol.env_file"
"""The key in a command's `meta` with an `EnvFileNews`."""

OTHERS: Final = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "KUBECONFIG", "HTTPS_PROXY", "NO_PROXY")
"""Variables that libraries read, not the settings."""

NO_FILE: Final = "there is no .env in this folder: start in the folder that has it, or name the file with --env-file"
_HIDDEN: Final = (
    "this user may not look into the folder that the command was started in, so no .env is read: start it in another "
    "folder, or name the file with --env-file"
)


class EnvFileNews:
    """The news of a file for the log. `names` is None where no file was read."""

    def __init__(self, path: Path, names: list[str] | None, overridden: list[str], warnings: list[str]) -> None:
        self.path = path
        self.names = names
        self.overridden = overridden
        self.warnings = warnings


def load(path: Path | None) -> EnvFileNews | None:
    """Read the file into the environment; without a path `.env`, if there is one. Raises `ConfigurationError`."""
    if path is None and not is_file(DEFAULT):
        return EnvFileNews(DEFAULT, None, [], [_HIDDEN]) if is_hidden(DEFAULT) else None
    from batkol import env_file
    from batkol.settings import Settings

    file = env_file.read(path or DEFAULT)
    wrong = env_file.misspelt(file, [*(name.upper() for name in Settings.model_fields), *OTHERS], os.environ)
    overridden = env_file.apply(file, os.environ)
    warnings = [f"{file.path} sets {name}, which is no setting: is it {meant}?" for name, meant in wrong.items()]
    if file.seen_by_others and file.variables:
        warnings.append(f"other users of this machine may read or change {file.path}: run chmod 600 {file.path}")
    return EnvFileNews(file.path, sorted(file.variables), sorted(overridden), warnings)


def _read(context: typer.Context, path: Path | None) -> Path | None:
    if context.resilient_parsing:
        return path
    try:
        news = load(path)
    except ConfigurationError as error:
        refuse(error)
    if news is None:
        return path
    strip_variables()
    context.obj = {**(context.obj or {}), **mend()}  # the file may have OTEL_* variables, too
    context.meta[FILE] = news
    if context.command.name != "serve":  # which has a log
        for warning in news.warnings:
            typer.echo(f"batkol: {warning}", err=True)
    return path


EnvFileOption = Annotated[
    Path | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        is_eager=True,
        callback=_read,
        help="A file of NAME=value lines, for variables that the environment does not have; by default .env, if there "
        "is one.",
    ),
]
