"""Programs of other vendors in the place of the real ones: small, and strict about what they are asked.

Each is this file, by another name. A command that the real program would refuse, or that comes too early, ends with an
error, and so does one that they do not know.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

PROGRAMS = ("gcloud", "cloudflared", "python3")
PUBLIC_URL = "https://few-words-of-chance.trycloudflare.com"
BILLING = "01ABCD-23EF45-678901"

_STATE = "QUICKSTART_STATE"
_BATKOL = "QUICKSTART_BATKOL"


def install(folder: Path, *, real_python: bool = False) -> dict[str, str]:
    """Write the programs into a folder; return what they need. `key.json` there is the key to hand out.

    With `real_python` there is a Python that makes venvs into which pip installs.
    """
    folder.mkdir()
    for name in PROGRAMS:
        _executable(folder / name)
    if real_python:
        _begin_with(folder / "python3", sys.executable)
    state = folder / "state.json"
    state.write_text("{}")
    return {
        _STATE: str(state),
        _BATKOL: str(Path(sys.executable).with_name("batkol")),
    }


def state(folder: Path) -> dict[str, Any]:
    """What the programs have been asked for."""
    found: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return found


def _executable(path: Path) -> None:
    program = path.with_name("bodies") / path.name  # its name says which program it stands for
    program.parent.mkdir(exist_ok=True)
    program.write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    _begin_with(path, sys.executable, "-SE", str(program))


def _begin_with(path: Path, *command: str) -> None:
    """Write a program that is a command: a `#!` line can have no path with spaces."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def _refuse(text: str) -> NoReturn:
    sys.exit(f"{Path(sys.argv[0]).name}: {text}")


def _value(option: str, arguments: Sequence[str]) -> str:
    """Return the value of `--option=value`."""
    found = [each.partition("=")[2] for each in arguments if each.startswith(f"--{option}=")]
    if len(found) != 1 or not found[0]:
        _refuse(f"argument --{option}: Must be specified.")
    return found[0]


class Gcloud:
    """One project: what belongs to it can be asked for when what it needs is there."""

    def __init__(self) -> None:
        self._path = Path(os.environ[_STATE])
        self._has: dict[str, Any] = json.loads(self._path.read_text())

    def run(self, arguments: Sequence[str]) -> None:
        for words, command in self._commands().items():
            if tuple(arguments[: len(words)]) == words:
                command(list(arguments[len(words) :]))
                self._path.write_text(json.dumps(self._has))
                return
        _refuse(f"Invalid choice: {' '.join(arguments)!r}.")

    def _commands(self) -> dict[tuple[str, ...], Callable[[list[str]], None]]:
        return {
            ("auth", "login"): self._log_in,
            ("projects", "create"): self._create_project,
            ("config", "set", "project"): self._set_project,
            ("billing", "accounts", "list"): self._list_billing,
            ("billing", "projects", "link"): self._link_billing,
            ("services", "enable"): self._enable,
            ("iam", "service-accounts", "create"): self._create_account,
            ("projects", "add-iam-policy-binding"): self._grant,
            ("iam", "service-accounts", "keys", "create"): self._create_key,
        }

    def _needs(self, *names: str) -> None:
        for name in names:
            if name not in self._has:
                _refuse(f"PERMISSION_DENIED or FAILED_PRECONDITION: {name} is missing")

    def _log_in(self, arguments: list[str]) -> None:
        self._has["login"] = not arguments or _refuse("unrecognized arguments")

    def _create_project(self, arguments: list[str]) -> None:
        self._needs("login")
        (project,) = arguments
        if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", project):
            _refuse(f"argument PROJECT_ID: Bad value [{project}]: Project IDs must be 6 to 30 lowercase letters")
        self._has["project"] = project

    def _set_project(self, arguments: list[str]) -> None:
        self._is_project(arguments[0])
        self._has["current"] = arguments[0]

    def _is_project(self, project: str) -> None:
        self._needs("project")
        if project != self._has["project"]:
            _refuse(f"You do not appear to have access to project [{project}] or it does not exist.")

    def _list_billing(self, arguments: list[str]) -> None:
        self._needs("login")
        wanted = {"filter": "open=true", "format": "value(name.basename())", "limit": "1"}
        if {name: _value(name, arguments) for name in wanted} != wanted or len(arguments) != len(wanted):
            _refuse(f"unrecognized arguments: {arguments}")
        sys.stdout.write(f"{BILLING}\n")

    def _link_billing(self, arguments: list[str]) -> None:
        self._is_project(arguments[0])
        if _value("billing-account", arguments) != BILLING:
            _refuse("The billing account does not exist.")
        self._has["billing"] = BILLING

    def _enable(self, arguments: list[str]) -> None:
        self._needs("current", "billing")
        if not all(re.fullmatch(r"[a-z]+\.googleapis\.com", each) for each in arguments):
            _refuse(f"SERVICE_NOT_FOUND: {arguments}")
        self._has["services"] = arguments

    def _create_account(self, arguments: list[str]) -> None:
        self._needs("current")
        (name,) = arguments
        self._has["account"] = f"{name}@{self._has['current']}.iam.gserviceaccount.com"

    def _is_account(self, email: str) -> None:
        self._needs("account")
        if email != self._has["account"]:
            _refuse(f"NOT_FOUND: Service account {email} does not exist.")

    def _grant(self, arguments: list[str]) -> None:
        self._is_project(arguments[0])
        kind, _, email = _value("member", arguments).partition(":")
        if kind != "serviceAccount":
            _refuse("INVALID_ARGUMENT: The member is of an unknown type")
        self._is_account(email)
        self._has["role"] = _value("role", arguments)

    def _create_key(self, arguments: list[str]) -> None:
        self._is_account(_value("iam-account", arguments))
        self._has["key"] = str(Path(arguments[0]).resolve())
        key = json.loads(Path(os.environ[_STATE]).with_name("key.json").read_text())
        os.umask(0o077)
        Path(arguments[0]).write_text(json.dumps(key | {"client_email": self._has["account"]}))


def _tunnel(arguments: Sequence[str]) -> None:
    """Print what a quick tunnel prints, and stay."""
    if list(arguments) != ["tunnel", "--url", "http://localhost:8080"]:
        _refuse(f"Incorrect Usage: {arguments}")
    wide = "-" * 92
    for line in (
        "Thank you for trying Cloudflare Tunnel. (https://developers.cloudflare.com/cloudflare-one/connections/)",
        "Requesting new quick Tunnel on trycloudflare.com...",
        f"+{wide}+",
        "|  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |",
        f"|  {PUBLIC_URL:<90}|",
        f"+{wide}+",
    ):
        sys.stderr.write(f"2026-11-29T10:00:00Z INF {line}\n")
    sys.stderr.flush()
    signal.pause()


def _python(arguments: Sequence[str]) -> None:
    """Make the venv of this page, whose pip installs nothing: the tests' own Batkol is there."""
    if list(arguments) != ["-m", "venv", ".venv"]:
        _refuse(f"this page makes a venv with python3, and nothing else: {arguments}")
    programs = Path(".venv/bin")
    programs.mkdir(parents=True)
    _executable(programs / "pip")


def _pip(arguments: Sequence[str]) -> None:
    if list(arguments) != ["install", ".[service]"] or not Path("pyproject.toml").exists():
        _refuse(f"this page installs Batkol in its folder, and nothing else: {arguments}")
    Path(".venv/bin/batkol").symlink_to(os.environ[_BATKOL])


def main() -> None:
    """Run as the program of that name."""
    arguments = sys.argv[1:]
    match Path(sys.argv[0]).name:
        case "gcloud":
            Gcloud().run(arguments)
        case "cloudflared":
            _tunnel(arguments)
        case "python3":
            _python(arguments)
        case "pip":
            _pip(arguments)


if __name__ == "__main__":
    main()
