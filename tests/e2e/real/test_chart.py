"""The chart by the real Helm: each rendering valid for every Kubernetes, restricted, in its place, and as agreed.

`make e2e ARGS="-k test_chart" REFRESH=1` writes the snapshots anew; read the difference before it is committed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types
import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from referencing import Registry, Resource

from support.chart.files import (
    CHART,
    DEFAULT,
    NAMESPACE,
    ROOT,
    SNAPSHOTS,
    Object,
    cases,
    helm,
    identity,
    is_label,
    load,
    pods,
    render,
    samples,
    settled,
    unrestricted,
)
from support.process.programs import installed

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
VERSIONS = sorted(
    found[1] for each in SCHEMAS.iterdir() if (found := re.fullmatch(r"v(1\.[3-9]\d\.\d+)-local-strict", each.name))
)
OF_OTHERS = {"kopf.dev", "batkol.dev", "monitoring.coreos.com"}
"""Groups that Kubernetes has no schemas of."""

EXAMPLES = CHART.parent / "examples"
TOLD = "app.kubernetes.io/instance"


@pytest.fixture(scope="module")
def program() -> Path:
    """Our own build of Helm, or the one that HELM names."""
    found = os.environ.get("HELM") or installed("helm") or shutil.which("helm")
    if not found:
        raise FileNotFoundError("helm is not built. Run `make tools TOOLS=helm`, which puts it into .tools/bin.")
    return Path(found)


@pytest.fixture(scope="module")
def rendered(program: Path) -> dict[str, list[Object]]:
    """Every case."""
    return {case: render(program, case) for case in cases()}


@lru_cache
def validator(version: str, kind: str, api_version: str) -> Any:
    """Return the strict schema of a kind: no field that the version does not have."""
    strict = json.loads((SCHEMAS / f"v{version}-local-strict" / _file(kind, api_version)).read_text())
    return jsonschema.Draft202012Validator(strict, registry=_registry(version))


@lru_cache
def _registry(version: str) -> Any:
    definitions = json.loads((SCHEMAS / f"v{version}-local-strict/_definitions.json").read_text())
    return Registry().with_resource(definitions["$id"], Resource.from_contents(definitions)).crawl()


def _file(kind: str, api_version: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"{kind.lower()}-{group.split('.')[0]}-{version}.json" if group else f"{kind.lower()}-{version}.json"


def test_lint_is_strict(program: Path) -> None:
    files = [f"--values={CHART}/ci/{case}-values.yaml" for case in cases() if case != DEFAULT]
    for values in ([], *([each] for each in files)):
        done = helm(program, "lint", "--strict", "--kube-version", "1.34.0", str(CHART), *values)
        assert "0 chart(s) failed" in done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(rendered: dict[str, list[Object]], version: str) -> None:
    checked = 0
    for case, objects in rendered.items():
        for each in objects:
            if each["apiVersion"].split("/")[0] in OF_OTHERS:
                continue
            errors = [error.message for error in validator(version, each["kind"], each["apiVersion"]).iter_errors(each)]
            assert not errors, f"{case}: {identity(each)}: {errors}"
            checked += 1
    assert checked > 60


@pytest.mark.parametrize("case", cases())
def test_it_is_as_agreed(rendered: dict[str, list[Object]], case: str) -> None:
    path = SNAPSHOTS / f"{case}.yaml"
    now = yaml.safe_dump_all(settled(rendered[case]), sort_keys=False, width=120)
    if os.environ.get("REFRESH"):
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text(now)

    assert list(yaml.safe_load_all(now)) == list(yaml.safe_load_all(path.read_text())), "REFRESH=1 writes it anew"


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.yaml")} == set(cases())


@pytest.mark.parametrize("case", cases())
def test_every_pod_is_restricted(rendered: dict[str, list[Object]], case: str) -> None:
    found = {name: unrestricted(spec) for name, spec in pods(rendered[case])}

    assert found
    assert not any(found.values()), found


@pytest.mark.parametrize("case", cases())
def test_no_object_is_outside_its_labels_and_namespaces(rendered: dict[str, list[Object]], case: str) -> None:
    values = load("values.yaml") | (load(f"ci/{case}-values.yaml") if case != DEFAULT else {})
    allowed = {NAMESPACE, *values["watchNamespaces"], values["monitoring"].get("dashboards", {}).get("namespace")}
    cluster = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "ClusterKopfPeering"}
    cluster |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    seen = set()
    for each in rendered[case]:
        metadata = each["metadata"]
        if each["kind"] in cluster:
            assert "namespace" not in metadata, identity(each)
        else:
            assert metadata["namespace"] in allowed, identity(each)
        if not metadata["name"].endswith("peerings.kopf.dev"):
            assert metadata["labels"][TOLD] == "batkol", identity(each)
        assert all(is_label(value) for value in metadata.get("labels", {}).values()), identity(each)
        assert identity(each) not in seen
        seen.add(identity(each))


def test_a_selector_never_has_what_changes(rendered: dict[str, list[Object]]) -> None:
    """A Deployment's selector cannot be changed: a chart's version in it would make every upgrade fail."""
    for objects in rendered.values():
        for each in objects:
            if each["kind"] == "Deployment":
                selector = each["spec"]["selector"]["matchLabels"]
                assert set(selector) == {"app.kubernetes.io/name", TOLD}
                assert selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()


def test_no_other_pod_is_taken_for_an_operator(rendered: dict[str, list[Object]]) -> None:
    for objects in rendered.values():
        (selector,) = [
            each["spec"]["selector"]["matchLabels"]
            for each in objects
            if each["kind"] == "Deployment" and each["spec"]["template"]["spec"]["containers"][0]["name"] == "operator"
        ]
        for each in objects:
            labels = each["metadata"]["labels"] if each["kind"] == "Pod" else None
            if each["kind"] == "Job":
                labels = each["spec"]["template"]["metadata"]["labels"]
            assert labels is None or not selector.items() <= labels.items(), identity(each)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("tpyo=1", "tpyo"),
        ("image.tagg=1", "image"),
        ("monitoring.podMonitor.mode=Perhaps", "monitoring.podMonitor.mode"),
        ("replicas=3", "replicas"),
        ("watchNamespaces[0]=Sales", "watchNamespaces.0"),
        ("extraEnv[0].nam=x", "extraEnv.0"),
    ],
)
def test_unknown_values_are_refused_with_their_place(program: Path, told: str, where: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(program, DEFAULT, "--set", told)

    assert where.replace(".", "/") in refused.value.stderr or where in refused.value.stderr, refused.value.stderr


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("serviceAccount.create=false", "serviceAccount.name"),
        ("replicas=2,peeringName=none", "Name a peering"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(program: Path, told: str, said: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(program, DEFAULT, "--set", told)

    assert said in refused.value.stderr


def test_monitors_and_rules_follow_the_cluster(program: Path) -> None:
    def kinds(*kinds: str) -> set[str]:
        known = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in kinds]
        return {each["kind"] for each in render(program, DEFAULT, *known)} & {"PodMonitor", "PrometheusRule"}

    assert kinds() == set()
    assert kinds("PodMonitor") == {"PodMonitor"}
    assert kinds("PodMonitor", "PrometheusRule") == {"PodMonitor", "PrometheusRule"}


def test_a_service_monitor_comes_in_the_place_of_the_pod_monitor(program: Path) -> None:
    known = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "ServiceMonitor")]
    objects = render(program, DEFAULT, *known, "--set=monitoring.serviceMonitor.mode=Auto")
    found = {each["kind"]: each for each in objects}
    (service,) = [each for each in objects if each["kind"] == "Service"]

    assert "PodMonitor" not in found
    assert found["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"] == found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert [port["name"] for port in service["spec"]["ports"]] == ["metrics"]


def test_alerts_name_a_page_of_the_project_and_link_to_yours(program: Path) -> None:
    """Nobody's address is there by default: whoever owned it would be read by people who were paged."""

    def annotations(*settings: str) -> set[tuple[str, str]]:
        rendered = render(program, DEFAULT, "--set=monitoring.prometheusRule.mode=Enabled", *settings)
        rules = json.dumps([each["spec"] for each in rendered if each["kind"] == "PrometheusRule"])
        return set(re.findall(r'"(runbook\w*)": "([^"#]*)', rules))

    yours = "--set=monitoring.prometheusRule.runbookBaseUrl=https://wiki.example.com/batkol/"
    assert annotations() == {("runbook", "docs/runbooks.md")}
    assert annotations(yours) == {("runbook_url", "https://wiki.example.com/batkol/runbooks.md")}
    assert not {"home", "icon", "sources"} & load("Chart.yaml").keys()


def test_one_registry_is_before_both_images(program: Path) -> None:
    def images(*settings: str) -> set[str]:
        (operator,) = [each for each in render(program, DEFAULT, *settings) if each["kind"] == "Deployment"]
        container = operator["spec"]["template"]["spec"]["containers"][0]
        return {container["image"], *(each["value"] for each in container["env"] if each["name"] == "SERVICE_IMAGE")}

    assert images() == {"batkol-operator:0.1.0", "batkol:0.1.0"}
    ours = {"mirror.example.com/voice/batkol-operator:0.1.0", "mirror.example.com/voice/batkol:0.1.0"}
    assert images("--set=imageRegistry=mirror.example.com/voice") == ours
    assert images("--set=global.imageRegistry=mirror.example.com/voice/") == ours
    assert images("--set=imageRegistry=mirror.example.com/voice,global.imageRegistry=other.example.com") == ours


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*-values.yaml")), ids=lambda path: str(path.stem))
def test_an_example_renders_what_a_cluster_takes(program: Path, path: Path) -> None:
    objects = render(program, DEFAULT, "--values", str(path))
    groups = OF_OTHERS | {"monitoring.googleapis.com"}

    assert not any(unrestricted(spec) for _, spec in pods(objects))
    for each in objects:
        if each["apiVersion"].split("/")[0] not in groups:
            found = validator(VERSIONS[-1], each["kind"], each["apiVersion"]).iter_errors(each)
            assert [error.message for error in found] == [], identity(each)


def test_the_package_has_what_a_cluster_needs_and_nothing_of_the_tests(program: Path, tmp_path: Path) -> None:
    helm(program, "package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        names = archive.getnames()

    assert package.name == f"batkol-{load('Chart.yaml')['version']}.tgz"
    assert {"batkol/values.schema.json", "batkol/files/crds/voiceagents.yaml"} <= set(names)
    assert not [name for name in names if name.startswith("batkol/ci/")]


def test_the_package_has_the_addresses_of_who_publishes_it(program: Path, tmp_path: Path) -> None:
    script, copy, source = str(ROOT / "helm/addresses.py"), str(tmp_path / "batkol"), "https://git.example.com"
    yours = {"home": "https://batkol.example.com", "icon": "https://batkol.example.com/icon.svg"}
    given = [part for name, url in yours.items() for part in (f"--{name}", url)]
    subprocess.run([sys.executable, script, copy, *given, "--sources", source], check=True)
    helm(program, "lint", "--strict", "--kube-version", "1.34.0", copy)
    helm(program, "package", copy, "--destination", str(tmp_path))
    shown = helm(program, "show", "chart", str(tmp_path / f"batkol-{load('Chart.yaml')['version']}.tgz")).stdout

    assert yaml.safe_load(shown) == {**load("Chart.yaml"), **yours, "sources": [source]}


def test_a_parent_chart_may_turn_it_off(program: Path, tmp_path: Path) -> None:
    """Helm hands the condition on to the chart, whose schema takes no unknown value."""
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    dependency = {"name": "batkol", "version": "0.1.0", "condition": "batkol.enabled"}
    about = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(about))
    (parent / "values.yaml").write_text("batkol: {enabled: true}\n")
    helm(program, "package", str(CHART), "--destination", str(parent / "charts"))

    def made(*settings: str) -> list[Object]:
        done = helm(program, "template", "shop", str(parent), "--kube-version", "1.34.0", *settings)
        return [each for each in yaml.safe_load_all(done.stdout) if each]

    assert [each["kind"] for each in made()].count("Deployment") == 1
    assert made("--set=batkol.enabled=false") == []


def test_the_rules_are_the_files_with_an_address_before_the_runbooks(rendered: dict[str, list[Object]]) -> None:
    found = [each for each in rendered["everything"] if each["kind"] == "PrometheusRule"]
    for each, file in zip(found, ("batkol-operator.rules.yaml", "batkol.rules.yaml"), strict=True):
        wanted = json.dumps(load(f"files/rules/{file}")).replace(
            '"runbook_url": "docs/', '"runbook_url": "https://wiki.example.com/batkol/'
        )
        assert each["spec"] == json.loads(wanted)


def test_dashboards_and_definition_pass_through_unchanged(rendered: dict[str, list[Object]]) -> None:
    boards = [each for each in rendered["everything"] if "dashboard" in each["metadata"]["name"]]
    (definition,) = [each for each in rendered["default"] if each["metadata"]["name"] == "voiceagents.batkol.dev"]

    assert len(boards) == 2
    for board in boards:
        ((name, text),) = board["data"].items()
        wanted = (CHART / "files/dashboards" / name).read_text()
        for field in ("query", "value", "text"):  # of the variable with the address of the pages
            wanted = wanted.replace(f'"{field}": "docs"', f'"{field}": "https://wiki.example.com/batkol"')
        assert json.loads(text) == json.loads(wanted)
    assert definition["spec"] == load("files/crds/voiceagents.yaml")["spec"]
    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


MARKS = {
    "meta.helm.sh/release-name": "batkol",
    "meta.helm.sh/release-namespace": NAMESPACE,
    "helm.sh/resource-policy": "keep",
}
KNOWN = "--api-versions=batkol.dev/v1alpha1/VoiceAgent"


def test_a_job_makes_the_sample_where_its_kind_is_not_known_yet(program: Path) -> None:
    """Helm resolves the kind of what it renders, hooks too, perhaps before the API server serves it."""
    objects = render(program, "everything")
    (agent,) = samples(objects)

    assert not [each for each in objects if each["kind"] == "VoiceAgent"]
    assert agent["metadata"]["annotations"].items() >= MARKS.items()
    assert agent["spec"] == load("values.yaml")["sample"]["spec"]
    ours = [each for each in objects if each["metadata"]["name"] == "voice-sample"]
    assert [each["kind"] for each in ours] == ["ServiceAccount", "Role", "RoleBinding", "Job"]
    for each in ours:
        assert each["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
        assert each["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert ours[1]["rules"] == [{"apiGroups": ["batkol.dev"], "resources": ["voiceagents"], "verbs": ["create"]}]


@pytest.mark.parametrize("arguments", [[KNOWN], ["--set=crds.enabled=false"]])
def test_elsewhere_the_sample_is_an_object_of_the_release(program: Path, arguments: list[str]) -> None:
    objects = render(program, "everything", *arguments)
    (agent,) = [each for each in objects if each["kind"] == "VoiceAgent"]

    assert agent["metadata"]["annotations"].items() >= MARKS.items()
    assert "helm.sh/hook" not in agent["metadata"]["annotations"]
    assert not [each for each in objects if each["metadata"]["name"] == "voice-sample"]


def test_without_roles_of_the_chart_the_first_installation_says_how_to_get_the_sample(program: Path) -> None:
    arguments = ("--set=rbac.create=false", "--set=sample.enabled=true")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(program, DEFAULT, *arguments)

    assert "set it to true in an upgrade" in refused.value.stderr
    assert [each for each in render(program, DEFAULT, *arguments, KNOWN) if each["kind"] == "VoiceAgent"]


def test_the_pod_of_helm_test_is_there_when_helm_reads_its_log(program: Path) -> None:
    """Helm deletes what `hook-succeeded` names, and then asks for the logs."""
    hooks = [each for each in render(program, "dev") if each["metadata"]["name"] == "batkol-operator-test"]
    policies = {each["kind"]: each["metadata"]["annotations"]["helm.sh/hook-delete-policy"] for each in hooks}
    gone = "before-hook-creation,hook-succeeded"

    assert policies == {"ServiceAccount": gone, "Role": gone, "RoleBinding": gone, "Pod": "before-hook-creation"}


@pytest.mark.parametrize(
    ("release", "name"),
    [("batkol", "batkol-operator"), ("voice", "voice-batkol-operator"), ("x" * 53, "x" * 41 + "-operator")],
)
def test_names_fit(program: Path, release: str, name: str) -> None:
    done = helm(program, "template", release, str(CHART), "--kube-version", "1.34.0")
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(done.stdout) if each["kind"] == "Deployment"]

    assert names == [name]


@pytest.mark.parametrize("case", cases())
def test_the_notes_have_three_commands(program: Path, case: str, tmp_path: Path) -> None:
    """Helm renders notes only for a cluster; so here they are put into an object of a copy."""
    chart = shutil.copytree(CHART, tmp_path / "batkol", ignore=shutil.ignore_patterns(".helmignore"))
    (chart / "templates/NOTES.txt").rename(chart / "files/NOTES.txt")
    (chart / "templates/notes.yaml").write_text(
        'kind: ConfigMap\nnotes: |\n{{ tpl (.Files.Get "files/NOTES.txt") . | indent 2 }}\n'
    )
    values = () if case == DEFAULT else ("--values", str(CHART / f"ci/{case}-values.yaml"))
    shown = ("--kube-version", "1.34.0", "--show-only", "templates/notes.yaml", "--namespace", NAMESPACE)
    (found,) = yaml.safe_load_all(helm(program, "template", "batkol", str(chart), *shown, *values).stdout)
    notes = found["notes"]

    assert [f"\n{number}. " in notes for number in (1, 2, 3)] == [True] * 3
    assert "<no value>" not in notes
    commands = [line for line in notes.splitlines() if re.search(r"\b(kubectl|helm) ", line)]
    of_the_cluster = ("kubectl explain", "kubectl create namespace")
    assert len(commands) >= 3
    assert all(" -n " in line or line.strip().startswith(of_the_cluster) for line in commands), commands
    assert (" test " in notes) == (case in {"dev", "tested", "everything", "answering"})


def test_kubeconform_agrees(rendered: dict[str, list[Object]], tmp_path: Path) -> None:
    """A second reader, of the YAML too. It would fetch what a schema refers to, so each is put into one file."""
    program = installed("kubeconform")
    if program is None:
        pytest.skip("kubeconform is not built: `make tools TOOLS=kubeconform`")
    known = [each for each in chain(*rendered.values()) if each["apiVersion"].split("/")[0] not in OF_OTHERS]
    folder = SCHEMAS / f"v{VERSIONS[-1]}-local-strict"
    shared = json.loads((folder / "_definitions.json").read_text())["$defs"]
    for kind, api_version in {(each["kind"], each["apiVersion"]) for each in known}:
        name = _file(kind, api_version)
        alone = {**json.loads((folder / name).read_text()), "$defs": shared}
        del alone["$id"]
        (tmp_path / name).write_text(json.dumps(alone).replace("/api/_definitions.json#", "#"))
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(known))
    location = f"{tmp_path}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    command = [str(program), "-strict", "-summary", "-schema-location", location, str(tmp_path / "all.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    assert f"Valid: {len(known)}, Invalid: 0, Errors: 0" in done.stdout, done.stdout + done.stderr
