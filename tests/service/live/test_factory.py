"""What LIVE_SOURCE may name."""

import subprocess
import sys
from pathlib import Path

import pytest

from batkol.errors import ConfigurationError
from batkol.live.factory import open_source
from batkol.live.files import FileSource
from batkol.live.source import SourceState


def test_a_live_source_is_a_directory_or_nothing(tmp_path: Path) -> None:
    assert open_source("") is None
    assert isinstance(open_source(f"file:{tmp_path}"), FileSource)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("kubernetes:front-desk-live", "kubernetes:calls/front-desk-live"),
        ("kubernetes:other/front.desk", "kubernetes:other/front.desk"),
    ],
)
def test_or_a_config_map_by_its_name(setting: str, name: str) -> None:
    source = open_source(setting, namespace="calls", start_from="/etc/batkol/live")

    assert source is not None
    assert source.name == name
    assert source.status().state is SourceState.STARTING


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("kubernetes:", "kubernetes:NAME"),
        ("file:", "file:PATH"),
        ("/etc/batkol", "file:PATH"),
        ("http://x", "file:PATH"),
        ("kubernetes:a/b/c", "not a valid Kubernetes name"),
        ("kubernetes:Front_Desk", "not a valid Kubernetes name"),
        ("kubernetes:/x", "not a valid Kubernetes name"),
    ],
)
def test_any_other_is_refused_with_a_sentence(setting: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        open_source(setting, namespace="calls")


def test_outside_a_cluster_a_name_needs_its_namespace() -> None:
    with pytest.raises(ConfigurationError, match="has no namespace"):
        open_source("kubernetes:front-desk-live")


@pytest.mark.parametrize("root", ["batkol.live.factory", pytest.param("batkol.app.build", marks=pytest.mark.nightly)])
def test_lightkube_is_loaded_for_those_alone_who_watch_a_config_map(root: str) -> None:
    code = (
        f"import sys, {root}\n"
        "from batkol.live.factory import open_source\n"
        "open_source('file:/x'); print('lightkube' in sys.modules)\n"
        "open_source('kubernetes:a/b'); print('lightkube' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == ["False", "True"]
