import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from batkol.store.framing import frame
from batkol.store.segments import SUFFIX, Segments


def opened(folder: Path, segment_bytes: int = 200) -> Segments:
    segments = Segments(folder, segment_bytes=segment_bytes)
    segments.open()
    return segments


def add(segments: Segments, first: int, last: int) -> None:
    for number in range(first, last + 1):
        segments.append([frame(number, b"record %d" % number)], number)


def numbers(segments: Segments, after: int = 0, most: int = 1000) -> list[int]:
    found = segments.read(after, most)
    assert [each.payload for each in found] == [b"record %d" % each.number for each in found]
    return [each.number for each in found]


@given(st.lists(st.integers(1, 7), max_size=12), st.integers(1, 9), st.integers(30, 400))
def test_every_record_is_read_once_and_in_order_however_they_are_grouped(
    groups: list[int], most: int, segment_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        segments = opened(Path(folder), segment_bytes)
        last = 0
        read: list[int] = []
        for size in groups:
            segments.append([frame(n, b"record %d" % n) for n in range(last + 1, last + size + 1)], last + 1)
            last += size
            read += numbers(segments, read[-1] if read else 0, most)
            segments.release(read[-1])
        while more := numbers(segments, read[-1] if read else 0, most):
            read += more
        segments.close()

        assert read == list(range(1, last + 1))


def test_after_a_restart_all_is_still_there(tmp_path: Path) -> None:
    before = opened(tmp_path)
    add(before, 1, 50)
    before.close()
    after = opened(tmp_path)

    assert (after.first, after.last, after.size) == (1, 50, before.size)
    assert numbers(after) == list(range(1, 51))
    add(after, 51, 60)
    assert numbers(after, 45) == list(range(46, 61))
    after.close()


def test_a_file_goes_when_all_that_is_in_it_is_released_and_not_before(tmp_path: Path) -> None:
    segments = opened(tmp_path)
    add(segments, 1, 50)
    files = sorted(tmp_path.glob(f"*{SUFFIX}"))
    second = int(files[1].stem)

    segments.release(second - 2)
    assert files[0].exists()
    segments.release(second - 1)
    assert not files[0].exists()
    assert numbers(segments, second - 1) == list(range(second, 51))
    assert segments.size == sum(path.stat().st_size for path in files[1:])
    segments.release(50)
    assert list(tmp_path.glob(f"*{SUFFIX}")) == files[-1:]
    segments.release(50, newest_too=True)
    assert list(tmp_path.glob(f"*{SUFFIX}")) == []
    assert segments.size == 0
    add(segments, 51, 52)
    assert numbers(segments, 50) == [51, 52]
    segments.close()


def test_a_torn_end_is_cut_off_and_the_rest_is_read(tmp_path: Path) -> None:
    segments = opened(tmp_path, 10_000)
    add(segments, 1, 5)
    segments.close()
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with capture_logs() as lines:
        again = opened(tmp_path)

    assert numbers(again) == [1, 2, 3, 4]
    assert path.stat().st_size == len(whole) - len(frame(5, b"record 5"))
    assert [line["torn_bytes"] for line in lines] == [len(frame(5, b"record 5")) - 3]
    add(again, 5, 6)
    assert numbers(again) == [1, 2, 3, 4, 5, 6]
    again.close()


def test_a_file_of_which_nothing_is_whole_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{7:020}{SUFFIX}").write_bytes(b"\x00" * 100)
    with capture_logs():
        segments = opened(tmp_path)

    assert (segments.first, segments.last, segments.size) == (0, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_what_the_disk_spoils_while_we_run_is_reported_and_skipped(tmp_path: Path) -> None:
    segments = opened(tmp_path)
    add(segments, 1, 30)
    first, second = sorted(tmp_path.glob(f"*{SUFFIX}"))[:2]
    data = bytearray(first.read_bytes())
    data[len(frame(1, b"record 1")) + 20] ^= 1  # in the second record
    first.write_bytes(data)
    with capture_logs() as lines:
        found = numbers(segments)

    assert found == [1, *range(int(second.stem), 31)]
    assert [line["log_level"] for line in lines] == ["error"]
    segments.close()
