"""What the watches show, and whom it wakes."""

from __future__ import annotations

import json
from typing import Any

from batkol_operator.kube.names import AGENT, FIELD_MANAGER
from batkol_operator.watch.cache import POD, ObjectCache
from batkol_operator.watch.object_state import read_pod

CONFIG_MAP = ("v1", "ConfigMap")
CLINIC = ("voices", "clinic")
KEY = (*CONFIG_MAP, "live")


def config_map(version: int, *, ours: str = "data", **metadata: Any) -> dict[str, Any]:
    managed = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {f"f:{ours}": {}}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "live",
            "namespace": "voices",
            "uid": "1",
            "labels": {AGENT: "clinic"},
            "resourceVersion": str(version),
            "managedFields": [managed],
            **metadata,
        },
    }


def pod(**status: Any) -> dict[str, Any]:
    metadata = {"name": "clinic-1", "namespace": "voices", "uid": "2", "labels": {AGENT: "clinic"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


def woken(seen: ObjectCache) -> bool:
    wake = seen.view(CLINIC).wake
    was = wake.is_set()
    wake.clear()
    return was


def test_what_changes_something_wakes_and_what_does_not_does_not() -> None:
    seen = ObjectCache([CONFIG_MAP])
    seen.observe(config_map(1))
    assert woken(seen)

    seen.observe(config_map(2))
    assert not woken(seen), "another version, and all of ours stands"

    seen.observe(config_map(3, ours="metadata"))
    assert woken(seen)

    seen.observe(config_map(4), deleted=True)
    assert woken(seen)
    assert KEY not in seen.view(CLINIC).objects


def test_the_event_of_our_own_request_is_no_news() -> None:
    seen = ObjectCache([CONFIG_MAP])
    seen.record_answer(config_map(5))
    seen.observe(config_map(5))
    assert not woken(seen)


def test_an_event_from_before_our_own_request_does_not_undo_it() -> None:
    seen = ObjectCache([CONFIG_MAP])
    seen.record_answer(config_map(5))
    seen.observe(config_map(4, ours="metadata"))

    assert not woken(seen)
    assert seen.view(CLINIC).objects[KEY].version == 5


def test_a_listing_is_the_whole_truth() -> None:
    seen = ObjectCache([CONFIG_MAP, POD])
    seen.observe(config_map(1))
    seen.observe(pod(phase="Running"))

    seen.replace(CLINIC, CONFIG_MAP, [])
    seen.replace(CLINIC, POD, [])

    assert (seen.view(CLINIC).objects, seen.view(CLINIC).pods) == ({}, {})


def test_an_agent_wakes_its_loop_when_its_owner_changes_it_and_not_when_we_do() -> None:
    seen = ObjectCache()
    agent: dict[str, Any] = {"metadata": {"name": "clinic", "namespace": "voices", "uid": "3", "generation": 1}}
    seen.observe_agent(agent)
    assert woken(seen)

    seen.observe_agent({**agent, "status": {"replicas": 3}})
    assert not woken(seen)

    agent["metadata"]["annotations"] = {"batkol.dev/paused": "true"}
    seen.observe_agent(agent)
    assert woken(seen)


def test_a_pod_that_was_evicted_is_no_pod() -> None:
    assert read_pod(pod(phase="Failed")) is None


def test_a_crash_loop_is_one_between_the_crashes_too() -> None:
    ended = {"lastState": {"terminated": {"exitCode": 3}}, "restartCount": 4, "ready": False}
    container = {"name": "media", "state": {"running": {}}, **ended}

    found = read_pod(pod(containerStatuses=[container]))
    assert found is not None
    assert "exit code 3" in found.start_failure

    well = read_pod(pod(containerStatuses=[{**container, "ready": True}]))
    assert well is not None
    assert well.start_failure == ""


def test_a_migration_that_fails_is_trouble_in_its_own_words() -> None:
    """And nothing else of its log is: that may have anything in it."""
    said = "Traceback: secret\nbatkol: db:5432/calls cannot be migrated, and is unchanged: ConnectionRefusedError.\n"
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
    migrate = {
        "name": "migrate",
        "ready": False,
        "restartCount": 1,
        "state": waiting,
        "lastState": {"terminated": {"exitCode": 2, "message": said}},
    }
    media = {"name": "media", "ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}

    found = read_pod(pod(initContainerStatuses=[migrate], containerStatuses=[media]))
    assert found is not None
    assert found.start_failure == (
        "container migrate: CrashLoopBackOff: db:5432/calls cannot be migrated, and is unchanged: "
        "ConnectionRefusedError"
    )

    between = read_pod(pod(initContainerStatuses=[{**migrate, "state": {"running": {}}, "restartCount": 3}]))
    assert between is not None
    assert "ConnectionRefusedError" in between.start_failure


def test_a_migration_that_is_done_or_goes_on_is_no_trouble() -> None:
    """One that takes minutes is not a pod that does not come."""
    media = {"name": "media", "ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}
    done = {"name": "migrate", "ready": True, "restartCount": 4, "state": {"terminated": {"exitCode": 0}}}
    failed = {"lastState": {"terminated": {"exitCode": 2}}}
    begun = {"startTime": "2026-01-01T12:00:00Z", "containerStatuses": [media]}

    states = (({**done, **failed}, True), ({"name": "migrate", "state": {"running": {}}}, False))
    for migrate, coming in states:
        found = read_pod(pod(initContainerStatuses=[migrate], **begun))
        assert found is not None
        assert (found.start_failure, found.creating_since is not None) == ("", coming)


def test_a_sidecar_that_runs_hides_no_pod_that_does_not_come() -> None:
    """It runs as long as the pod; what waits for the end of an init container does not wait for it."""
    media = {"name": "media", "ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}
    proxy = {"name": "proxy", "ready": True, "restartCount": 0, "state": {"running": {}}}
    body = pod(initContainerStatuses=[proxy], containerStatuses=[media], startTime="2026-01-01T12:00:00Z") | {
        "spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    }

    found = read_pod(body)
    assert found is not None
    assert found.creating_since is not None


def test_nothing_but_what_a_decision_needs_is_kept() -> None:
    """There may be thousands."""
    seen = ObjectCache([CONFIG_MAP])
    seen.observe({**config_map(1), "data": {"flags.json": "+972501234567"}})

    assert "+972" not in json.dumps(repr(seen.view(CLINIC)))
