import pytest

from batkol.twilio.call_status import FINAL, FinalStatus, final_status

FORM = {
    "CallSid": "CA1",
    "AccountSid": "AC1",
    "CallStatus": "completed",
    "CallDuration": "90",
    "Timestamp": "Sat, 31 Jan 2026 12:01:30 +0000",
    "From": "+972541234567",
}


def test_the_end_of_a_call_is_read_with_its_time_and_duration() -> None:
    assert final_status(FORM) == FinalStatus(
        call_sid="CA1", account_sid="AC1", status="completed", ended_at=1_769_860_890.0, duration_s=90
    )


@pytest.mark.parametrize("status", sorted(FINAL))
def test_every_status_that_ends_a_call_is_an_end(status: str) -> None:
    read = final_status({"CallSid": "CA1", "CallStatus": status})

    assert read is not None
    assert (read.status, read.ended_at, read.duration_s) == (status, None, None)


@pytest.mark.parametrize("change", [{"CallStatus": "ringing"}, {"CallStatus": "in-progress"}, {"CallSid": ""}])
def test_a_call_that_goes_on_or_has_no_name_has_no_end(change: dict[str, str]) -> None:
    assert final_status({**FORM, **change}) is None
    assert final_status({}) is None


@pytest.mark.parametrize(
    "time",
    [
        "",
        "yesterday",
        "2026-01-31T12:01:30Z",
        "Sat, 99 Foo 2026 12:01:30",
        "Sat, 31 Jan 999999 12:01:30 +0000",
        "Sat, 31 Jan 2026 99:99:99 +99999999999",
        "1 Jan 1900 00:00:00 +0000",
        "\x00",
        "٣١ Jan 2026 12:00:00 +0000",
        "," * 70,
    ],
)
def test_a_time_that_cannot_be_read_is_none_and_no_fault(time: str) -> None:
    read = final_status({**FORM, "Timestamp": time})

    assert read is not None
    assert read.ended_at is None or 0 < read.ended_at < 253_402_300_799


@pytest.mark.parametrize("duration", ["", "-1", "1.5", "٣", "1" * 10, "a"])
def test_a_duration_that_is_no_number_of_seconds_is_none(duration: str) -> None:
    read = final_status({**FORM, "CallDuration": duration})

    assert read is not None
    assert read.duration_s is None
