from __future__ import annotations

import base64

from batkol_operator.resources.plan import plan
from support.kube.manifests import one
from support.operators.agents import AROUND, agent


def test_pods_may_read_one_config_map_and_nothing_else() -> None:
    wanted = plan(agent(), AROUND)

    (rule,) = one(wanted, "Role")["rules"]
    assert (rule["apiGroups"], rule["resources"], rule["verbs"]) == ([""], ["configmaps"], ["get", "list", "watch"])
    assert rule["resourceNames"] == [one(wanted, "ConfigMap")["metadata"]["name"]]


def test_the_role_is_the_pods_service_accounts() -> None:
    wanted = plan(agent(), AROUND)
    binding = one(wanted, "RoleBinding")
    template = one(wanted, "Deployment")["spec"]["template"]["spec"]

    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "reception", "namespace": "voice"}]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reception"}
    assert template["serviceAccountName"] == one(wanted, "ServiceAccount")["metadata"]["name"]


def test_only_the_media_pods_are_given_a_token() -> None:
    wanted = plan(agent(), AROUND)

    assert one(wanted, "ServiceAccount")["automountServiceAccountToken"] is False
    assert one(wanted, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_workload_identity_is_an_annotation_of_the_account() -> None:
    annotations = {"iam.gke.io/gcp-service-account": "batkol@example.iam.gserviceaccount.com"}
    account = one(plan(agent(pod={"serviceAccountAnnotations": annotations}), AROUND), "ServiceAccount")

    assert account["metadata"]["annotations"] == annotations


def test_the_secret_holds_the_token_of_the_internal_api() -> None:
    secret = one(plan(agent(), AROUND), "Secret")

    assert secret["metadata"]["name"] == "reception-api"
    assert base64.b64decode(secret["data"]["token"]).decode() == AROUND.api_token
    assert secret["type"] == "Opaque"


def test_neither_the_plan_nor_its_surroundings_show_the_token() -> None:
    """Somebody logs them, some day."""
    assert AROUND.api_token not in repr(AROUND)
    assert base64.b64encode(AROUND.api_token.encode()).decode() not in repr(plan(agent(), AROUND))


def test_an_existing_account_is_used_and_left_as_it_is() -> None:
    """Pods of before have the agent's own until their calls have ended, and read the live configuration with it."""
    wanted = plan(agent(pod={"serviceAccountName": "calls"}), AROUND)

    assert one(wanted, "ServiceAccount")["metadata"]["name"] == "reception"
    assert one(wanted, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "calls"
    assert one(wanted, "RoleBinding")["subjects"] == [
        {"kind": "ServiceAccount", "name": name, "namespace": "voice"} for name in ("reception", "calls")
    ]
