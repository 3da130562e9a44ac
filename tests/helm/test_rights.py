"""What the operator may do is what it does, and no more. The roles are those of the agreed renderings."""

from __future__ import annotations

import pytest

from batkol_operator.resources.plan import OWNED_KINDS
from support.chart.files import Object, snapshot

CHILD = {"list", "watch", "create", "patch", "delete"}
ALSO_READ = {("", "configmaps"), ("apps", "deployments")}


def rights(objects: list[Object], kind: str, name: str) -> dict[tuple[str, str], set[str]]:
    """Return verbs by group and resource; those restricted to names are under `resource:name`."""
    found: dict[tuple[str, str], set[str]] = {}
    for each in objects:
        if each["kind"] != kind or each["metadata"]["name"] != name:
            continue
        for rule in each["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for of in rule.get("resourceNames", [""]):
                        found.setdefault((group, f"{resource}:{of}" if of else resource), set()).update(rule["verbs"])
    return found


def operator(case: str, kind: str) -> dict[tuple[str, str], set[str]]:
    return rights(snapshot(case), kind, "batkol-operator")


@pytest.mark.parametrize(("case", "kind"), [("default", "ClusterRole"), ("namespaced", "Role")])
def test_the_operator_may_manage_exactly_what_it_makes(case: str, kind: str) -> None:
    may = operator(case, kind)
    children = {(version.rpartition("/")[0], plural) for version, _, plural in OWNED_KINDS}

    assert {which for which, verbs in may.items() if verbs - {"get"} == CHILD} == children - {("", "secrets")}
    assert {which for which, verbs in may.items() if verbs >= CHILD and "get" in verbs} == ALSO_READ


def test_no_verb_it_has_of_secrets_answers_with_one() -> None:
    """A patch, even an empty one, and a deletion answer with what stood; an update answers with what was sent."""
    assert operator("default", "ClusterRole")["", "secrets"] == {"create", "update"}


def test_everything_else_it_may_is_listed_here() -> None:
    may = {which: verbs for which, verbs in operator("default", "ClusterRole").items() if not verbs >= CHILD}

    assert may == {
        ("batkol.dev", "voiceagents"): {"list", "watch", "patch"},
        ("batkol.dev", "voiceagents/status"): {"patch"},
        ("batkol.dev", "voiceagents/finalizers"): {"update"},
        ("", "events"): {"create"},
        ("", "secrets"): {"create", "update"},
        ("", "pods"): {"list", "watch", "patch"},
        ("core.openfeature.dev", "featureflags"): {"get", "list", "watch"},
        ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
        ("kopf.dev", "clusterkopfpeerings"): {"list", "watch"},
        ("kopf.dev", "clusterkopfpeerings:batkol-operator"): {"get", "patch"},
    }


def test_the_clusters_roles_read_and_write_voice_agents() -> None:
    """`view` reads, `edit` and `admin` write: by roles that Kubernetes adds to them. Nobody may write the status."""
    objects = snapshot("default")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    added = {
        role["metadata"]["name"]: sorted(
            key.removeprefix(prefix) for key in role["metadata"]["labels"] if key.startswith(prefix)
        )
        for role in objects
        if role["kind"] == "ClusterRole"
    }

    assert {name: to for name, to in added.items() if to} == {
        "batkol-operator-view": ["admin", "edit", "view"],
        "batkol-operator-edit": ["admin", "edit"],
    }
    assert rights(objects, "ClusterRole", "batkol-operator-view") == {
        ("batkol.dev", each): {"get", "list", "watch"}
        for each in ("voiceagents", "voiceagents/status", "voiceagents/scale")
    }
    assert rights(objects, "ClusterRole", "batkol-operator-edit") == {
        ("batkol.dev", "voiceagents"): {"create", "update", "patch", "delete", "deletecollection"},
        ("batkol.dev", "voiceagents/scale"): {"update", "patch"},
    }


def test_with_namespaces_it_has_no_right_outside_them() -> None:
    objects = snapshot("namespaced")
    roles = [each for each in objects if each["kind"] == "Role" and each["metadata"]["name"] == "batkol-operator"]

    assert not [each for each in objects if each["kind"].startswith("ClusterRole")]
    assert [each["metadata"]["namespace"] for each in roles] == ["sales", "support"]
    assert [each["metadata"]["namespace"] for each in objects if each["kind"] == "KopfPeering"] == ["sales", "support"]
    assert roles[0]["rules"] == roles[1]["rules"]


def test_the_rehearsal_may_switch_one_agent() -> None:
    assert rights(snapshot("dev"), "Role", "batkol-operator-test") == {
        ("batkol.dev", "voiceagents:dev"): {"get", "patch"}
    }


@pytest.mark.parametrize("case", ["default", "namespaced", "everything"])
def test_every_binding_is_of_a_role_and_an_account_that_are_there(case: str) -> None:
    objects = snapshot(case)
    there = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects}

    for each in objects:
        if each["kind"].endswith("RoleBinding"):
            (subject,) = each["subjects"]
            assert ("ServiceAccount", subject["namespace"], subject["name"]) in there
            assert (each["roleRef"]["kind"], each["metadata"].get("namespace"), each["roleRef"]["name"]) in there
