from batkol.web.log_limit import LogLimit


def test_a_line_a_second_says_how_many_were_left_out_before_it() -> None:
    lines = LogLimit()

    assert [lines.admit("late", 10.0 + tenth / 10) for tenth in range(10)] == [0] + [None] * 9
    assert lines.admit("late", 11.0) == 9
    assert lines.admit("late", 11.5) is None
    assert lines.admit("late", 100.0) == 1
    assert lines.admit("late", 102.0) == 0


def test_reasons_do_not_silence_each_other() -> None:
    lines = LogLimit()

    assert [lines.admit(reason, 1.0) for reason in ("late", "long", "late", "long")] == [0, 0, None, None]


def test_a_million_lines_are_one_and_a_number() -> None:
    lines = LogLimit()
    written = [lines.admit("late", 5.0 + n / 1e6) for n in range(1_000_000)]

    assert [n for n in written if n is not None] == [0]
    assert lines.admit("late", 6.0) == 999_999
