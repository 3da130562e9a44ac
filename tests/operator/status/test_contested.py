"""What an agent says about other clients, and how long it is not ready for their sake."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from batkol_operator.status.conditions import ConditionDraft, find_condition
from batkol_operator.status.contested import CONTESTED
from batkol_operator.status.facts import Contest, Facts, Revisions
from batkol_operator.status.judge import judge, judge_paused
from batkol_operator.status.transitions import transitions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONCE = Contest(
    "Deployment clinic", ("kubectl-edit",), (".spec.paused",), deleted=False, times=1, stands=False, wait_s=0
)
FIGHT = replace(ONCE, name="Service clinic", managers=("mesh", "argocd-controller"), times=5, stands=True, wait_s=40)


def judged(*contests: Contest, before: tuple[ConditionDraft, ...] = ()) -> tuple[ConditionDraft, ...]:
    facts = Facts(generation=4, wanted=Revisions(), rollout=None, pods=(), reports={}, contests=contests)
    return judge(facts, before, NOON)


def contested(*contests: Contest) -> ConditionDraft:
    condition = find_condition(judged(*contests), CONTESTED)
    assert condition is not None
    return condition


def test_an_agent_that_nobody_contests_has_no_such_condition_until_it_was_contested() -> None:
    before = judged(ONCE)

    assert find_condition(judged(), CONTESTED) is None
    after = judged(before=before)
    assert [(each.state.value, each.reason) for each in after if each.type == CONTESTED] == [("False", "NotContested")]


def test_each_message_names_client_field_object_and_remedy() -> None:
    many = replace(ONCE, managers=("a",), fields=tuple(f".f{number}" for number in range(5)))

    assert contested(ONCE).message == (
        "kubectl-edit changed .spec.paused of Deployment clinic. The operator sets it back at once. "
        "Change the VoiceAgent instead."
    )
    assert contested(FIGHT).message.startswith(
        "mesh and argocd-controller changed .spec.paused of Service clinic, 5 times. "
        "The operator sets it back, at most every 40 s. Stop that client"
    )
    assert "a changed .f0, .f1, .f2 and 2 more fields of" in contested(many).message
    assert "A client deleted Deployment clinic." in contested(replace(ONCE, managers=(), deleted=True)).message
    assert "A client removed fields of Deployment" in contested(replace(ONCE, managers=(), fields=())).message
    assert contested(replace(ONCE, fields=(".spec.replicas",))).message.endswith("`maxReplicas`.")


def test_the_worst_comes_first_and_many_are_counted() -> None:
    others = [replace(ONCE, name=f"Service s{number}") for number in range(4)]
    message = contested(*others, FIGHT).message

    assert message.startswith("mesh and argocd-controller")
    assert "2 more objects were changed." in message


def test_ready_says_so_while_the_others_values_stand() -> None:
    stands, stood = judged(FIGHT), judged(replace(FIGHT, stands=False))

    assert [(each.state.value, each.reason) for each in stands if each.type == "Ready"] == [("False", CONTESTED)]
    assert [each.reason for each in stood if each.type == "Ready"] != [CONTESTED]


def test_a_fight_makes_two_events_and_its_end_one() -> None:
    def told(before: tuple[ConditionDraft, ...], after: tuple[ConditionDraft, ...]) -> list[str]:
        drafts = transitions(before, after, Revisions(), Revisions())
        return [each.reason for each in drafts if "Contested" in each.reason]

    none, once, fight = judged(), judged(ONCE), judged(FIGHT)
    assert told(none, once) == ["Contested"]
    assert told(once, judged(replace(ONCE, times=2))) == []
    assert told(once, fight) == ["Contested"]
    assert told(fight, judged(replace(FIGHT, times=6))) == []
    assert told(fight, once) == []
    assert told(fight, judged(before=fight)) == ["NoLongerContested"]
    assert told(fight, judge_paused(4, fight, NOON)) == []
