"""The chart on a real API server: installed, upgraded and uninstalled by the real Helm, in a restricted namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.kube.names import FINALIZER
from support.chart.files import CHART, NAMESPACE
from support.chart.jobs import jobs_run
from support.kube.control_plane import ControlPlane
from support.process.programs import installed, tool

SAMPLE = ("--set", "sample.enabled=true")


class Cluster:
    """A control plane of its own, for the definition belongs to all of one; and the tools that talk to it."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig("admin"))}
        helm = os.environ.get("HELM") or installed("helm") or shutil.which("helm")
        self._programs = {"helm": str(helm or tool("helm")), "kubectl": str(tool("kubectl"))}

    def run(self, *command: str, given: str | None = None, check: bool = True, kubeconfig: str = "") -> str:
        """Run a tool and return what it said, or fail with what it said about that. `kubeconfig`: as another user."""
        program = [self._programs.get(command[0], command[0]), *command[1:]]
        environment = self.environment | ({"KUBECONFIG": kubeconfig} if kubeconfig else {})
        done = subprocess.run(
            program, env=environment, input=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def helm(self, verb: str, *arguments: str) -> str:
        """Run Helm on the release."""
        return self.run("helm", verb, "batkol", *arguments, "--namespace", NAMESPACE)

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True) -> str:
        return self.run("kubectl", "--namespace", NAMESPACE, *arguments, given=given, check=check)

    def get(self, *what: str) -> Any:
        return json.loads(self.kubectl("get", *what, "--output", "json"))

    @contextmanager
    def cleaning(self, hooks: list[Any]) -> Iterator[str]:
        """Make the Job's account and its rights as the hooks do; yield a kubeconfig of it."""
        made = yaml.safe_dump_all([each for each in hooks if each["kind"] != "Job" and "clean-up" in str(each)])
        self.kubectl("apply", "--filename", "-", given=made)
        yield self.kubeconfig_of("batkol-operator-clean-up", NAMESPACE)
        self.kubectl("delete", "--filename", "-", given=made)

    def kubeconfig_of(self, account: str, namespace: str) -> str:
        token = self.run("kubectl", "create", "token", account, "--namespace", namespace)
        return str(self._plane.kubeconfig(account, token, namespace))

    def may(self, verb: str, what: str, namespace: str = "elsewhere", account: str = "batkol-operator") -> bool:
        """Whether an account of the chart may do something. `what`: a kind, kind/name, or kind:subresource."""
        kind, _, part = what.partition(":")
        user = f"system:serviceaccount:{NAMESPACE}:{account}"
        where = ("--as", user, "--namespace", namespace, f"--subresource={part}")
        return self.run("kubectl", "auth", "can-i", verb, kind, *where, check=False) == "yes"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ControlPlane(tmp_path_factory.mktemp("chart")) as plane:
        here = Cluster(plane)
        here.run("kubectl", "create", "namespace", NAMESPACE)
        restricted = "pod-security.kubernetes.io/enforce=restricted"
        here.run("kubectl", "label", "namespace", NAMESPACE, restricted)
        yield here


@pytest.fixture(autouse=True)
def _no_release_is_left(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.helm("uninstall", "--no-hooks", "--ignore-not-found")


def until(holds: Callable[[], bool], what: str) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_it_installs_upgrades_and_leaves_the_calls_alone(cluster: Cluster) -> None:
    """One release through its life: an installation is half a minute here."""
    with jobs_run(cluster) as made:
        notes = cluster.helm("install", str(CHART), *SAMPLE)
    assert made == ["made VoiceAgent batkol-system/sample"]
    assert "kubectl -n batkol-system wait voiceagent/sample" in notes
    sample = cluster.get("voiceagent", "sample")["metadata"]["uid"]
    key = cluster.get("secret", "batkol-operator-key")["data"]["key"]
    assert len(key) > 64
    assert cluster.get("clusterkopfpeering", "batkol-operator")
    assert "recognition" in cluster.kubectl("explain", "voiceagent.spec")

    # What Helm has installed is what it prints: `kubectl diff` finds nothing.
    manifest = cluster.run("helm", "get", "manifest", "batkol", "--namespace", NAMESPACE)
    assert cluster.kubectl("diff", "--filename", "-", given=manifest, check=False) == ""
    other = manifest.replace("replicas: 1", "replicas: 3")
    assert "+  replicas: 3" in cluster.kubectl("diff", "--filename", "-", given=other, check=False)

    # The replica set makes pods, and admission lets them in: nothing they ask for is beyond `restricted`.
    until(lambda: len(cluster.get("pods")["items"]) == 1, "no pod was admitted")

    cluster.helm("upgrade", str(CHART), *SAMPLE, "--set", "replicas=2")
    assert cluster.get("secret", "batkol-operator-key")["data"]["key"] == key
    until(lambda: len(cluster.get("pods")["items"]) == 2, "no second pod was admitted")
    assert cluster.get("voiceagent", "sample")["metadata"]["uid"] == sample
    manifest = cluster.run("helm", "get", "manifest", "batkol", "--namespace", NAMESPACE)
    assert "kind: VoiceAgent" in manifest  # taken over: a Job has made it

    cluster.helm("rollback", "1", "--no-hooks")  # to a revision that has no sample among its objects
    assert cluster.get("voiceagent", "sample")["metadata"]["uid"] == sample
    cluster.helm("upgrade", str(CHART), *SAMPLE)

    mine = cluster.get("voiceagent", "sample") | {"metadata": {"name": "mine", "finalizers": [FINALIZER]}}
    cluster.kubectl("apply", "--server-side", "--filename", "-", given=json.dumps(mine))

    hooks = list(yaml.safe_load_all(cluster.run("helm", "get", "hooks", "batkol", "--namespace", NAMESPACE)))
    assert len(cluster.get("validatingadmissionpolicies")["items"]) == 1
    cluster.helm("uninstall", "--no-hooks")  # there is no kubelet to run the Job: its script is run below
    assert cluster.get("voiceagent", "mine")["metadata"]["finalizers"] == [FINALIZER]
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings", "clusterroles"):
        left = [each["metadata"]["name"] for each in cluster.get(kind)["items"]]
        assert not [name for name in left if "batkol" in name], kind
    with cluster.cleaning(hooks) as account:
        for verb, what in (
            ("get", "secrets"), ("create", "pods"), ("patch", "deployments"), ("delete", "voiceagents"),
            ("create", "voiceagents"), ("patch", "voiceagents:status"), ("get", "configmaps"),
        ):  # fmt: skip
            assert not cluster.may(verb, what, account="batkol-operator-clean-up"), what
        script = (CHART / "files/clean_up.py").read_text()
        released = cluster.run(sys.executable, "-c", script, kubeconfig=account)
    assert released == "released 1 VoiceAgents"
    assert cluster.get("voiceagent", "sample")["metadata"]["uid"] == sample, "calls go on"
    cluster.kubectl("delete", "voiceagent", "mine", "sample", "--timeout=30s")
    assert cluster.get("voiceagents", "--all-namespaces")["items"] == []


def test_ten_fresh_installations_with_the_sample_in_a_row_succeed(cluster: Cluster) -> None:
    """Each without a definition: Helm looked the sample's kind up too early in one of two installations."""
    outcomes = []
    for _ in range(10):
        cluster.kubectl("delete", "crd", "voiceagents.batkol.dev", "--ignore-not-found", "--timeout=60s")
        with jobs_run(cluster):
            done = cluster.run("helm", "install", "batkol", str(CHART), *SAMPLE, "--namespace", NAMESPACE, check=False)
        outcomes.append(("STATUS: deployed" in done, len(cluster.get("voiceagents")["items"])))
        cluster.helm("uninstall", "--no-hooks")
        cluster.kubectl("delete", "voiceagents", "--all", "--timeout=30s")

    assert outcomes == [(True, 1)] * 10
    left = cluster.get("jobs,serviceaccounts,roles,rolebindings")["items"]
    assert [each["metadata"]["name"] for each in left] == ["default"], "what made the sample is gone"


def test_namespaces_are_all_it_may_touch(cluster: Cluster) -> None:
    for name in ("sales", "support"):
        cluster.run("kubectl", "create", "namespace", name)
    cluster.helm("install", str(CHART), "--values", str(CHART / "ci/namespaced-values.yaml"))

    for verb, what in (("create", "deployments"), ("update", "secrets"), ("update", "voiceagents:finalizers")):
        assert cluster.may(verb, what, "sales"), what
        assert not cluster.may(verb, what), what
    assert not cluster.may("get", "secrets", "sales")
    assert not cluster.may("list", "secrets", NAMESPACE)
    assert cluster.get("kopfpeering", "batkol-operator", "--namespace", "support")
    cluster.helm("uninstall", "--no-hooks")


def test_everywhere_it_may_do_what_it_needs_and_read_no_secret(cluster: Cluster) -> None:
    cluster.helm("install", str(CHART))  # over the definition that an earlier release has left

    for verb, what in (
        ("patch", "voiceagents:status"), ("patch", "pods"), ("create", "events"), ("create", "secrets"),
        ("delete", "horizontalpodautoscalers.autoscaling"), ("watch", "customresourcedefinitions"),
        ("patch", "clusterkopfpeerings/batkol-operator"),
    ):  # fmt: skip
        assert cluster.may(verb, what), what
    for verb, what in (
        ("get", "secrets"), ("patch", "secrets"), ("delete", "secrets"), ("delete", "pods"), ("get", "pods"),
        ("create", "clusterroles"), ("get", "nodes"),
        ("patch", "clusterkopfpeerings/another"), ("create", "voiceagents"), ("delete", "voiceagents"),
    ):  # fmt: skip
        assert not cluster.may(verb, what), what
    cluster.helm("uninstall", "--no-hooks")
    assert cluster.get("crd", "voiceagents.batkol.dev")
