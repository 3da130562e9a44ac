"""The page of the console: its files, their types, and the headers that keep strangers out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from batkol.web.console_files import FOLDER, HEADERS, INDEX, TYPES, files, routes

PAGE = {"index.html": "<!DOCTYPE html>", "app.js": "start();", "style/base.css": "a{}", "icon.svg": "<svg/>"}


def folder(path: Path, texts: Mapping[str, str]) -> Path:
    for name, text in texts.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(redirect_slashes=False)
    app.include_router(routes(files(folder(path, PAGE))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        yield http


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/console/", "<!DOCTYPE html>", "text/html; charset=utf-8"),
        ("/console/index.html", "<!DOCTYPE html>", "text/html; charset=utf-8"),
        ("/console/app.js", "start();", "text/javascript; charset=utf-8"),
        ("/console/style/base.css", "a{}", "text/css; charset=utf-8"),
        ("/console/icon.svg", "<svg/>", "image/svg+xml"),
    ],
)
async def test_a_file_comes_with_its_type_and_the_policy(tmp_path: Path, path: str, body: str, kind: str) -> None:
    async with serving(tmp_path) as http:
        answer = await http.get(path)

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, body, kind)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy, "no third party"


async def test_a_known_file_is_not_sent_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as http:
        tag = (await http.get("/console/app.js")).headers["etag"]
        for given in (tag, f'"x", W/{tag}', "*"):
            again = await http.get("/console/app.js", headers={"If-None-Match": given})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert again.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
        assert (await http.get("/console/app.js", headers={"If-None-Match": '"x"'})).status_code == 200
        head = await http.head("/console/app.js")
        assert (head.status_code, head.headers["content-length"]) == (200, "8")


@pytest.mark.parametrize("path", ["/console", "/"])
async def test_the_way_to_the_page_is_relative(tmp_path: Path, path: str) -> None:
    """A proxy may serve it below a path of its own."""
    async with serving(tmp_path) as http:
        answer = await http.get(path)

    assert (answer.status_code, answer.headers["location"]) == (307, "console/")


@pytest.mark.parametrize(
    "path",
    [
        "../console_files.py",
        "..%2fconsole_files.py",
        "%2e%2e/access.py",
        "/etc/passwd",
        "nothing.js",
        "style",
        "style/",
    ],
)
async def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path / "page") as http:
        assert (await http.get(f"/console/{path}")).status_code == 404


def test_files_of_other_kinds_are_not_served(tmp_path: Path) -> None:
    assert files(folder(tmp_path, {"a.js": "x", "b.py": "x", "c": "x", ".env": "x", "d.map": "x"})).keys() == {"a.js"}


def test_the_page_of_the_package_has_no_file_that_is_not_served() -> None:
    there = [path for path in FOLDER.rglob("*") if path.is_file()]

    assert {path.suffix for path in there} <= TYPES.keys()
    assert not there or INDEX in files()
