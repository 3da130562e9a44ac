"""What a flag sees of a call, and what a log sees of it."""

from batkol.flags.context import CallContext


def test_every_attribute_a_rule_may_name_is_there() -> None:
    context = CallContext(
        call_sid="CA1",
        agent="reception",
        from_="+972541234567",
        to="+97237654321",
        account_sid="AC1",
        direction="inbound",
        language="he-IL",
        pod="pod-0",
    )

    assert context.evaluation.targeting_key == "CA1"
    assert context.evaluation.attributes == {
        "agent": "reception",
        "from": "+972541234567",
        "to": "+97237654321",
        "account_sid": "AC1",
        "direction": "inbound",
        "language": "he-IL",
        "pod": "pod-0",
    }


def test_numbers_do_not_show_in_a_log() -> None:
    assert "+972" not in repr(CallContext(call_sid="CA1", from_="+972541234567", to="+97237654321"))
