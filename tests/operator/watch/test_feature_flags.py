from __future__ import annotations

from typing import Any

from batkol_operator.watch.feature_flags import FeatureFlagCache


def body(name: str = "house", **flags: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "voices"}, "spec": {"flagSpec": {"flags": flags}}}


def test_only_a_change_of_the_flags_is_one() -> None:
    """A label or a status of the object wakes nobody."""
    seen = FeatureFlagCache(watched=True)

    assert seen.observe(body(a={"state": "ENABLED"}))
    assert not seen.observe({**body(a={"state": "ENABLED"}), "status": {"x": 1}})
    assert seen.observe(body(a={"state": "DISABLED"}))
    assert seen.find("voices", "house") == b'{"flags": {"a": {"state": "DISABLED"}}}'
    assert seen.observe(body(), deleted=True)
    assert not seen.observe(body(), deleted=True)
    assert seen.find("voices", "house") is None


def test_namespaces_are_kept_apart_and_names_can_be_forgotten() -> None:
    seen = FeatureFlagCache(watched=True)
    seen.observe(body())
    seen.observe(body("attic"))

    assert seen.find("other", "house") is None
    seen.forget("voices", ["house", "unknown"])
    assert seen.find("voices", "house") is None
    assert seen.find("voices", "attic") is not None


def test_until_the_first_event_comes_answers_are_not_kept() -> None:
    """They would never be seen to change."""
    seen = FeatureFlagCache()

    assert seen.record_answer(body(a={}))
    assert seen.find("voices", "house") is None
    assert seen.observe(body(a={}))
    assert seen.find("voices", "house") is not None
    assert not seen.record_answer(body(a={}))


def test_an_object_without_flags_is_one_that_says_nothing() -> None:
    seen = FeatureFlagCache(watched=True)
    seen.observe({"metadata": {"name": "house", "namespace": "voices"}})

    assert seen.find("voices", "house") == b"null"
