from structlog.testing import capture_logs

from batkol.store.postgres.outage import THE_DATABASE, Outage


def test_each_fault_is_logged_once_in_an_outage_and_anew_in_the_next() -> None:
    outage = Outage()

    with capture_logs() as logs:
        for fault in ("refused", "away", "refused"):
            outage.fail(fault, THE_DATABASE, waiting=7)
        outage.end(waiting=2)
        outage.end(waiting=0)
        outage.fail("refused", THE_DATABASE, waiting=1)

    tries = f"[STORE] {THE_DATABASE}; the service tries again"
    assert [(line["event"], line.get("fault"), line["waiting"]) for line in logs] == [
        (tries, "refused", 7),
        (tries, "away", 7),
        ("[STORE] database writes resumed", None, 2),
        (tries, "refused", 1),
    ]


def test_failures_count_up_until_a_write_and_all_of_them_since_the_start() -> None:
    outage = Outage()
    before = [outage.fail("away", THE_DATABASE, waiting=1) for _ in range(3)]
    outage.end(waiting=0)

    assert (before, outage.fault) == ([0, 1, 2], "")
    assert outage.fail("away", THE_DATABASE, waiting=1) == 0
    assert outage.failures == 4


def test_a_journal_that_releases_nothing_is_logged_once_and_is_no_outage_of_writing() -> None:
    outage = Outage()

    with capture_logs() as logs:
        outage.not_released("disk full")
        outage.not_released("disk still full")

    assert [line["fault"] for line in logs] == ["disk full"]
    assert (outage.unreleased, outage.fault) == ("disk still full", "")
