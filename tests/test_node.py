"""What `make cluster` says where a node cannot run: one sentence, with what to do. The node's own tests: tests/node."""

from __future__ import annotations

import os
import re

import pytest

from support.node import addons, images, needs
from support.node.configuration import PAUSE
from support.node.places import ROOT


def is_one_sentence(said: str) -> bool:
    return said.endswith(".") and ". " not in said and "\n" not in said


def test_without_root_it_says_to_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    said = needs.lacking()

    assert is_one_sentence(said)
    assert said.endswith("run `make cluster` as root.")


def test_without_containerd_it_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")

    said = needs.lacking()

    assert is_one_sentence(said)
    assert "apt-get install --no-install-recommends buildah" in said
    assert " containerd " in said
    assert {*needs.PACKAGES.values()} <= set(said.replace("`", " ").split())


def test_unbuilt_programs_are_named_with_the_command_that_builds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "BUILT", ("no-such-program", "nor-this"))

    said = needs.unbuilt()

    assert is_one_sentence(said.replace("Go 1.26", "Go"))
    assert "make tools TOOLS='no-such-program nor-this'" in said


def test_no_image_of_the_node_has_the_name_of_a_registry() -> None:
    """Nothing is pulled, whatever the machine reaches; and `tools/images` writes the archives under these names."""
    names = [f"{images.SERVICE}:{images.TAG}", f"{images.OPERATOR}:{images.TAG}", PAUSE]
    script = (ROOT / "tools" / "images").read_text(encoding="utf-8")

    assert [name.partition("/")[0] for name in names] == ["localhost"] * 3
    assert re.findall(r"^archive \w+ \S+ (\S+)$", script, re.MULTILINE) == names


def test_an_addon_that_does_not_exist_or_is_not_built_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    one = addons.Addon("one", "v1.one", {"registry.example.com/one": "no-such-program"})
    monkeypatch.setitem(addons.ADDONS, "one", one)

    unknown, unbuilt = addons.lacking(["kedda"]), addons.lacking(["one"])

    assert is_one_sentence(unknown)
    assert "keda" in unknown
    assert is_one_sentence(unbuilt)
    assert "tools/build no-such-program one-manifests" in unbuilt
    assert addons.lacking([]) == ""
