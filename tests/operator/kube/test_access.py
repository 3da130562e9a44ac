"""The way to the API server, as kopf and lightkube both take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.errors import OperatorConfigurationError
from batkol_operator.kube.access import kopf_connection, read_access


def kubeconfig(path: Path, user: dict[str, Any] | None, **cluster: Any) -> Path:
    context = {"cluster": "here", "namespace": "voices", **({"user": "me"} if user is not None else {})}
    config = {
        "current-context": "it",
        "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:6443", **cluster}}],
        "contexts": [{"name": "it", "context": context}],
        "users": [{"name": "me", "user": user}] if user is not None else [],
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def test_a_token_and_an_authority(path: Path) -> None:
    kubeconfig(path, {"token": "made-up"}, **{"certificate-authority-data": "Q0E="})

    said = kopf_connection(read_access())

    assert (said.server, said.token, said.ca_data) == ("https://127.0.0.1:6443", "made-up", "Q0E=")
    assert said.default_namespace == "voices"


def test_files_beside_the_kubeconfig(path: Path) -> None:
    kubeconfig(path, {"client-certificate": "me.crt", "client-key": "me.key"}, **{"certificate-authority": "ca.crt"})

    said = kopf_connection(read_access())

    assert (said.ca_path, said.certificate_path, said.private_key_path) == tuple(
        path.parent / name for name in ("ca.crt", "me.crt", "me.key")
    )


def test_a_token_in_a_file_is_read_anew_each_time(path: Path, tmp_path: Path) -> None:
    """The kubelet replaces it every hour."""
    token = tmp_path / "token"
    kubeconfig(path, {"tokenFile": str(token)})
    token.write_text("first\n")
    access = read_access()
    assert kopf_connection(access).token == "first"

    token.write_text("second\n")
    assert kopf_connection(access).token == "second"


def test_a_plug_in_is_run(path: Path) -> None:
    script = """echo '{"status": {"token": "'$WHOSE'"}}'"""
    plug_in = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "sh",
        "args": ["-c", script],
        "env": [{"name": "WHOSE", "value": "mine"}],
    }
    kubeconfig(path, {"exec": plug_in})

    assert kopf_connection(read_access()).token == "mine"


def test_no_user_is_none_needed(path: Path) -> None:
    """As behind `kubectl proxy`; lightkube insists on one."""
    kubeconfig(path, None)

    assert read_access().user is not None


def test_no_way_is_a_sentence(path: Path) -> None:
    with pytest.raises(OperatorConfigurationError, match="KUBECONFIG"):
        read_access()
    path.write_text("clusters: []\ncontexts: []\n")
    with pytest.raises(OperatorConfigurationError, match="current context"):
        read_access()
