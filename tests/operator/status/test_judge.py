"""From facts to conditions: no API server, no clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from batkol_operator.pods.client import NoReport, PodReport, Report, SinkReport
from batkol_operator.resources.flag_sources import MergedFlags
from batkol_operator.status.conditions import ConditionDraft, ConditionState, find_condition, read_conditions, settle
from batkol_operator.status.facts import AgentProblem, Facts, Revisions, active_calls, pods_in_sync, reply_calls
from batkol_operator.status.judge import CREATION_TIMEOUT, judge, judge_paused, status_manifest
from batkol_operator.status.transitions import transitions
from batkol_operator.watch.object_state import PodState, Rollout
from support.operators.pod_state import ready_pod

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WANTED = Revisions("aaa", "fff")
RUNS = PodReport("aaa", "fff", 2, ())
LAGS = PodReport("bbb", "fff", 1, ())
POD = ready_pod("clinic-1", "1", "10.0.0.1")
ROLLOUT = Rollout(current=True, wanted=3, replicas=3, updated=3, ready=3, available=True, stuck="")


def pods(*names: str) -> tuple[PodState, ...]:
    return tuple(replace(POD, name=name, uid=name) for name in names)


def facts(reports: dict[str, Report] | None = None, **changed: object) -> Facts:
    found: dict[str, Report] = {"a": RUNS, "b": RUNS, "c": RUNS} if reports is None else reports
    standing = Facts(generation=4, wanted=WANTED, rollout=ROLLOUT, pods=pods("a", "b", "c"), reports=found)
    return replace(standing, **changed)  # type: ignore[arg-type]  # the fields of Facts, by name


def found(type_: str, of: Facts, at: datetime = NOON) -> ConditionDraft:
    condition = find_condition(judge(of, (), at), type_)
    assert condition is not None
    return condition


def test_all_is_well() -> None:
    conditions = judge(facts(), (), NOON)

    assert {condition.type: condition.state.value for condition in conditions} == {
        "Ready": "True",
        "Available": "True",
        "TuningApplied": "True",
        "Stalled": "False",
    }
    assert {condition.generation for condition in conditions} == {4}
    assert {condition.since for condition in conditions} == {"2026-01-01T12:00:00Z"}


def test_a_pod_that_lags_is_named_with_what_it_runs() -> None:
    applied = found("TuningApplied", facts({"a": RUNS, "b": RUNS, "c": LAGS}))

    assert applied.state is ConditionState.FALSE
    assert applied.message == "2 of 3 pods run revision aaa; c lags (revision bbb)."
    assert found("Ready", facts({"a": RUNS, "b": RUNS, "c": LAGS})).reason == "PodsLag"


def test_flags_count_as_well_as_tuning() -> None:
    applied = found("TuningApplied", facts({"a": RUNS, "b": RUNS, "c": PodReport("aaa", "eee", 0, ())}))

    assert applied.message == "2 of 3 pods run revision aaa; c lags (flags eee, wanted: fff)."


def test_what_google_says_that_refuses_a_pod_is_in_the_condition_of_those_who_wait_for_pods() -> None:
    refused = PodReport("aaa", "fff", 0, (), recognizer_refusal="Google refuses it (no billing). Pay.")
    waiting = facts({"a": RUNS, "b": refused}, rollout=replace(ROLLOUT, ready=1, available=False))
    rolling = facts({"a": RUNS, "b": refused})

    assert found("Available", waiting).message == "1 of 3 pods are ready. b: Google refuses it (no billing). Pay."
    assert found("Available", waiting).state is ConditionState.FALSE
    assert "b: Google refuses it" in found("Available", rolling).message
    assert found("Available", rolling).holds


def test_a_pod_that_refused_says_why() -> None:
    refuses = PodReport("bbb", "fff", 0, ("batch_ms must be 20 to 1000.",))
    applied = found("TuningApplied", facts({"a": RUNS, "b": RUNS, "c": refuses}))

    assert applied.reason == "RefusedByPods"
    assert "c refused the configuration: batch_ms must be 20 to 1000." in applied.message


def test_silence_is_not_agreement() -> None:
    assert (
        "c cannot be reached"
        in found("TuningApplied", facts({"a": RUNS, "b": RUNS, "c": NoReport("cannot be reached")})).message
    )
    unborn = (*pods("a", "b"), replace(POD, name="c", ip="", ready=False))
    assert "c has not started yet" in found("TuningApplied", facts({"a": RUNS, "b": RUNS}, pods=unborn)).message
    assert "c has not been polled yet" in found("TuningApplied", facts({"a": RUNS, "b": RUNS})).message


def test_many_that_lag_are_counted() -> None:
    many = facts({}, pods=pods(*(f"p{i}" for i in range(10))))

    assert found("TuningApplied", many).message.endswith("; 7 more lag.")


def test_a_pod_that_only_ends_its_calls_need_not_run_it_but_its_calls_count() -> None:
    leaving = replace(POD, name="old", ready=False, terminating=True)
    reports: dict[str, Report] = {"a": RUNS, "b": RUNS, "c": RUNS, "old": LAGS}
    of = facts(reports, pods=(*pods("a", "b", "c"), leaving))

    assert found("TuningApplied", of).holds
    assert active_calls(reports) == 7
    assert status_manifest(of, (), 7)["inSync"] == "3/3"


def test_without_pods_nobody_knows() -> None:
    assert found("TuningApplied", facts({}, pods=())).state is ConditionState.UNKNOWN
    assert not found("Ready", facts({}, pods=())).holds


def test_a_deployment_whose_controller_has_not_looked_is_not_available_yet() -> None:
    assert found("Available", facts(rollout=replace(ROLLOUT, current=False))).state is ConditionState.UNKNOWN
    assert found("Available", facts(rollout=None)).reason == "NotCreated"


def test_a_deployment_with_too_few_pods_says_how_few_and_why() -> None:
    few = replace(ROLLOUT, ready=1, available=False, stuck="exceeded quota: pods")

    assert (
        found("Available", facts(rollout=few)).message
        == "1 of 3 pods are ready; the Deployment reports: exceeded quota: pods."
    )


def test_a_problem_stalls_and_is_the_reason_for_not_being_ready() -> None:
    of = facts(problem=AgentProblem("Refused", "The API server refused Deployment clinic: no."))

    assert found("Stalled", of).holds
    assert found("Ready", of).reason == "Refused"
    assert found("Ready", of).message == "The API server refused Deployment clinic: no."


def test_a_container_that_is_being_created_for_ever_has_a_reason_worth_looking_for() -> None:
    coming = replace(POD, ready=False, creating_since=NOON)
    of = facts({}, pods=(coming,))

    assert not found("Stalled", of, NOON + CREATION_TIMEOUT).holds
    assert found("Stalled", of, NOON + CREATION_TIMEOUT + timedelta(seconds=1)).reason == "PodCannotStart"


def test_what_the_cluster_cannot_give_is_said_and_takes_nothing_away() -> None:
    ready = found("Ready", facts(warnings=("KEDA is not installed.",)))

    assert (ready.holds, ready.reason, ready.message) == (True, "ReadyWithWarnings", "KEDA is not installed.")


def test_paused_is_unknown_and_leaves_the_rest_as_it_was() -> None:
    before = judge(facts(), (), NOON)
    paused = judge_paused(5, before, NOON + timedelta(hours=1))

    ready = find_condition(paused, "Ready")
    assert ready is not None
    assert (ready.state, ready.reason, ready.generation) == (ConditionState.UNKNOWN, "Paused", 5)
    assert set(paused) - {ready} == {condition for condition in before if condition.type != "Ready"}


@given(st.lists(st.sampled_from(ConditionState), min_size=1, max_size=20))
def test_the_time_moves_with_the_state_and_only_with_it(states: list[ConditionState]) -> None:
    standing: tuple[ConditionDraft, ...] = ()
    for i, state in enumerate(states):
        before = standing
        standing = settle([ConditionDraft("Ready", state, f"R{i}", "m", i)], before, NOON + timedelta(minutes=i))
        if before and before[0].state is state:
            assert standing[0].since == before[0].since
        else:
            assert standing[0].since == (NOON + timedelta(minutes=i)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_conditions_read_back_as_they_were_written() -> None:
    conditions = judge(facts(), (), NOON)

    assert read_conditions(status_manifest(facts(), conditions, 0)) == conditions
    assert read_conditions({"conditions": [{"type": "Ready", "status": "Perhaps"}, {}]}) == ()


def test_only_transitions_are_announced() -> None:
    ready, lagging = judge(facts(), (), NOON), judge(facts({"a": RUNS, "b": RUNS, "c": LAGS}), (), NOON)
    stalled = judge(facts(problem=AgentProblem("Refused", "No.")), (), NOON)

    assert reasons((), ready) == ["TuningApplied", "Ready"]
    assert reasons(ready, ready) == []
    assert reasons(ready, lagging) == ["NotReady"]
    assert reasons(lagging, ready) == ["TuningApplied", "Ready"]
    assert reasons(lagging, lagging) == []
    assert reasons(ready, ready, Revisions("old", "fff")) == ["TuningApplied"], "so quick that no lag was seen"
    assert reasons(ready, stalled) == ["Refused", "NotReady"]
    assert reasons(stalled, stalled) == []
    assert reasons(stalled, ready) == ["NoLongerStalled", "Ready"]
    assert reasons(ready, judge_paused(4, ready, NOON)) == ["Paused"]
    assert reasons(judge_paused(4, ready, NOON), ready) == ["Resumed", "Ready"]


def reasons(
    before: tuple[ConditionDraft, ...],
    after: tuple[ConditionDraft, ...],
    old: Revisions = WANTED,
    new: Revisions = WANTED,
) -> list[str]:
    return [said.reason for said in transitions(before, after, old, new)]


ANSWERS = replace(WANTED, reply="rrr")
REPLIES = replace(RUNS, reply_revision="rrr", reply_calls=2)


def test_an_agent_without_reply_settings_has_no_condition_of_them() -> None:
    conditions = judge(facts(), (), NOON)

    assert [each.type for each in conditions] == ["Ready", "Available", "TuningApplied", "Stalled"]
    assert not {"replyRevision", "replyCalls", "replies"} & status_manifest(facts(), conditions, 0).keys()


def test_reply_settings_are_applied_when_every_pod_says_so() -> None:
    of = facts({"a": REPLIES, "b": REPLIES, "c": REPLIES}, wanted=ANSWERS, replies="Enabled")

    applied = found("ReplyApplied", of)
    assert (applied.state, applied.reason, applied.message) == (
        ConditionState.TRUE, "AllPods", "3 of 3 pods run revision rrr.",
    )  # fmt: skip
    assert found("Ready", of).holds
    written = status_manifest(of, (), 6, reply_calls(of))
    assert (written["replyRevision"], written["replyCalls"], written["replies"]) == ("rrr", 6, "Enabled")


def test_a_pod_without_the_newest_reply_settings_leaves_the_tuning_applied() -> None:
    old = replace(RUNS, reply_revision="old", reply_calls=1)
    of = facts({"a": REPLIES, "b": old, "c": RUNS}, wanted=ANSWERS)

    applied = found("ReplyApplied", of)
    assert (applied.state, applied.reason) == (ConditionState.FALSE, "PodsLag")
    assert "b lags (revision old)" in applied.message
    assert "c runs a version of the service that knows no reply settings" in applied.message
    assert found("TuningApplied", of).holds
    assert (found("Ready", of).reason, len(pods_in_sync(of)), reply_calls(of)) == ("PodsLag", 1, 2)


def test_refused_reply_settings_are_told_by_their_own_condition() -> None:
    refuses = replace(RUNS, reply_revision="old", reply_refusals=("reply.json: tools must be a list of tools.",))
    of = facts({"a": REPLIES, "b": refuses, "c": REPLIES}, wanted=ANSWERS)

    applied = found("ReplyApplied", of)
    assert applied.reason == "RefusedByPods"
    assert "b refused the configuration: reply.json: tools must be a list of tools." in applied.message
    assert found("TuningApplied", of).holds
    without = facts({"a": RUNS, "b": refuses, "c": RUNS})
    assert found("Ready", without).holds, "the agent has no reply settings any more, and the old pods miss theirs"


def test_an_unreadable_spec_keeps_the_condition_and_says_nothing() -> None:
    before = judge(facts({"a": REPLIES}, pods=pods("a"), wanted=ANSWERS), (), NOON)
    after = judge(facts(wanted=Revisions()), before, NOON)

    applied = find_condition(after, "ReplyApplied")
    assert applied is not None
    assert (applied.state, applied.reason) == (ConditionState.UNKNOWN, "NothingWanted")


def test_a_new_prompt_makes_one_event_of_its_own() -> None:
    of = facts({"a": REPLIES, "b": REPLIES, "c": REPLIES}, wanted=ANSWERS)
    settled = judge(of, (), NOON)

    assert reasons(settled, settled, replace(ANSWERS, reply="old"), ANSWERS) == ["ReplyApplied"]
    assert reasons(settled, settled, replace(ANSWERS, tuning="old"), ANSWERS) == ["TuningApplied"]


def a_pod(**sinks: SinkReport) -> PodReport:
    return replace(RUNS, sinks=sinks)


DELIVERS, STANDS_BY = SinkReport("delivering"), SinkReport("standby")
RETRIES = SinkReport("delivering", "The receiver https://crm.example.com answered HTTP 503.")
AWAY = SinkReport("waiting", "the database: timeout")


def test_an_agent_without_sinks_has_no_condition_of_them() -> None:
    assert find_condition(judge(facts({"a": a_pod(old=RETRIES)}), (), NOON), "SinksDeliver") is None


def test_flags_that_are_left_out_are_named_up_to_five_and_then_counted() -> None:
    faults = tuple(f"Flag {name} of FeatureFlag house is left out: the spec has it." for name in "abcdefg")
    of = facts(sources=("house",), merged=MergedFlags({"z": {}}, {}, faults))
    merged = found("FlagsMerged", of)

    assert (merged.state, merged.reason) == (ConditionState.FALSE, "FlagsLeftOut")
    assert merged.message.endswith("Flag e of FeatureFlag house is left out: the spec has it. 2 more are left out. "
                                   "1 flag comes from FeatureFlags.")  # fmt: skip
    assert find_condition(judge(of, (), NOON), "Ready") == find_condition(judge(facts(), (), NOON), "Ready")


def test_sinks_deliver_when_one_pod_hands_each_ones_events_on() -> None:
    of = facts({"a": a_pod(crm=DELIVERS, bus=STANDS_BY), "b": a_pod(crm=STANDS_BY, bus=DELIVERS)})
    of = replace(of, sinks=("crm", "bus"))

    deliver = found("SinksDeliver", of)
    assert (deliver.state, deliver.reason, deliver.message) == (
        ConditionState.TRUE, "AllSinks", "The events reach crm, bus.",
    )  # fmt: skip
    assert [each.type for each in judge(of, (), NOON)][-2:] == ["SinksDeliver", "Stalled"]


def test_a_receiver_that_is_down_is_told_and_leaves_the_agent_ready() -> None:
    of = facts({"a": a_pod(crm=RETRIES), "b": a_pod(crm=STANDS_BY), "c": a_pod(crm=STANDS_BY)}, sinks=("crm",))

    deliver = found("SinksDeliver", of)
    assert (deliver.state, deliver.reason) == (ConditionState.FALSE, "SinksFail")
    assert deliver.message == (
        "Sink crm: The receiver https://crm.example.com answered HTTP 503. The events wait; calls go on."
    )
    assert found("Ready", of).holds


def test_a_sink_that_no_pod_drains_is_told() -> None:
    of = facts({"a": a_pod(crm=STANDS_BY), "b": a_pod(crm=AWAY), "c": RUNS}, sinks=("crm", "new"))

    assert found("SinksDeliver", of).message == (
        "Sink crm: no pod hands its events on (the database: timeout). Sink new: no pod runs with it yet. "
        "The events wait; calls go on."
    )
    nobody = found("SinksDeliver", facts({"a": NoReport("did not answer in time")}, sinks=("crm",)))
    assert (nobody.state, nobody.reason) == (ConditionState.UNKNOWN, "NoPods")


def test_a_receiver_that_goes_and_comes_back_makes_two_events() -> None:
    well = judge(facts({"a": a_pod(crm=DELIVERS)}, pods=pods("a"), sinks=("crm",)), (), NOON)
    down = judge(facts({"a": a_pod(crm=RETRIES)}, pods=pods("a"), sinks=("crm",)), (), NOON)

    assert reasons(well, down) == ["SinksFail"]
    assert reasons(down, down) == []
    assert reasons(down, well) == ["AllSinks"]
