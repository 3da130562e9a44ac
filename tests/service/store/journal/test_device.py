import os
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.store.journal.aside import KEPT_BYTES, MOST_UNREAD, asides, remove_aside
from batkol.store.journal.device import UNREADABLE, UNREADABLE_S
from batkol.store.journal.disk import FILE, Disk
from support.postgres.journals import framed, numbers

ROT = b"r0tten"


class Flaky:
    """A device that gives no bytes of some file, from some place on, while it is away: what `pread` says is EIO."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.is_away = False
        self.bad_from = 0
        self.bad_to = 1 << 60

    def __call__(self, file: int, count: int, offset: int) -> bytes:
        is_ours = Path(f"/proc/self/fd/{file}").readlink() == self._file
        if self.is_away and is_ours and offset < self.bad_to and offset + count > self.bad_from:
            raise OSError(5, "Input/output error")
        return os.pread(file, count, offset)


class Made:
    """A journal of 2,000 records in its file. SQLite finds it damaged, as it does when its reads fail, until `heal`."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self.device = Flaky(self.file)
        self.disk = Disk(folder, self.device)
        self.disk.lock()
        self.disk.open({})
        for first in range(1, 2001, 500):
            self.disk.commit(framed(range(first, first + 500)), 0)
        self.disk._empty(self.disk._opened())
        self.disk._opened()._connection.execute("PRAGMA shrink_memory").fetchall()
        self.at = self.file.read_bytes().find(b"record 1017 ")
        self._healthy = self._put(ROT)
        self.device.is_away = True

    def _put(self, data: bytes) -> bytes:
        with self.file.open("r+b") as file:
            file.seek(self.at)
            before = file.read(len(data))
            file.seek(self.at)
            file.write(data)
        return before

    def heal(self) -> None:
        self._put(self._healthy)
        self.device.is_away = False

    def lasts(self) -> None:
        """The first error was long ago."""
        mark = self.file.parent / UNREADABLE
        boot, _, since = mark.read_text().partition(" ")
        mark.write_text(f"{boot} {float(since) - UNREADABLE_S}")


def fails(disk: Disk) -> None:
    with pytest.raises(OSError, match="cannot be read from the disk"):
        disk.read(0, 2000, 5000)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_a_device_that_gives_no_bytes_for_a_while_costs_nothing(made: Made) -> None:
    before = made.file.stat().st_ino
    with capture_logs() as lines:
        for _ in range(10):
            fails(made.disk)
        with pytest.raises(OSError, match="cannot be read from the disk"):
            made.disk._retried(lambda file: file.verify(made.disk._position), 0)
        made.heal()

        assert numbers(made.disk) == list(range(1, 2001))
    assert (made.disk.lost, made.disk.damaged, asides(made.file)) == (0, 0, [])
    assert made.file.stat().st_ino == before, "it is the same file"
    assert not (made.file.parent / UNREADABLE).exists(), "the next error is a first one"
    assert lines == []
    made.disk.close()


def test_an_error_that_is_over_when_the_bytes_are_read_repairs_nothing(made: Made) -> None:
    made.heal()
    made.disk._mend("database disk image is malformed", made.disk._position, {})

    assert (made.disk.damaged, asides(made.file)) == (0, [])
    made.disk.close()


def test_what_a_device_does_not_give_for_long_is_left_out_and_the_file_is_kept(made: Made) -> None:
    """A bad sector, over a restart; the wait goes on where it was."""
    made.device.bad_from, made.device.bad_to = made.at, made.at + 1
    fails(made.disk)
    made.disk.close()
    again = Disk(made.file.parent, made.device)
    again.lock()
    with pytest.raises(OSError, match="cannot be read from the disk"):
        again.open({})
    again.close()
    made.lasts()
    again = Disk(made.file.parent, made.device)
    again.lock()
    with capture_logs():
        again.open({})
    found = numbers(again)

    assert again.lost == 2000 - len(found) > 0
    assert again.lost < 40, "one page of records"
    assert [each.name for each in asides(made.file)] == [f"{FILE}.damaged.1"]
    again.close()


@pytest.mark.parametrize("noted", ["", "another-boot 0.0", "half"])
def test_a_clock_that_jumped_does_not_shorten_the_wait_for_a_device(made: Made, noted: str) -> None:
    """Nor does another run of the machine, or a note that says nothing: the wait begins anew then."""
    made.device.bad_from, made.device.bad_to = made.at, made.at + 1
    fails(made.disk)
    mark = made.file.parent / UNREADABLE
    if noted:
        mark.write_text(noted)
    os.utime(mark, (time.time() - 86400,) * 2)
    fails(made.disk)
    made.heal()

    assert numbers(made.disk) == list(range(1, 2001))
    assert (made.disk.lost, made.disk.damaged) == (0, 0)
    made.disk.close()


def test_a_device_that_gives_nothing_at_all_is_waited_for_however_long_it_takes(made: Made) -> None:
    fails(made.disk)
    made.lasts()
    fails(made.disk)
    made.heal()

    assert numbers(made.disk) == list(range(1, 2001))
    made.disk.close()


def lose(made: Made) -> list[str]:
    """Have the file found damaged, and a part of it unreadable for long; returns what was said of it."""
    made.device.is_away = True
    made.device.bad_from, made.device.bad_to = made.at, made.at + 1
    with pytest.raises(OSError, match="cannot be read from the disk"):
        made.disk._mend("a row differs from the row that was written", made.disk._position, {})
    made.lasts()
    with capture_logs() as lines:
        made.disk._mend("a row differs from the row that was written", made.disk._position, {})
    made.device.is_away = False
    return [str(line["file"]) for line in lines if "cannot be had from it any more" in line["event"]]


def test_a_file_that_could_not_be_read_is_kept_whatever_its_size_until_it_is_the_oldest_of_too_many(made: Made) -> None:
    with made.file.open("r+b") as file:
        file.truncate(KEPT_BYTES + 1)
    original = made.file.read_bytes()
    for count in range(1, MOST_UNREAD + 1):
        assert lose(made) == []
        assert len(asides(made.file)) == count
        os.utime(asides(made.file)[-1], (count * 1000.0,) * 2)
    first = asides(made.file)[0]
    lost = made.disk.lost
    assert first.read_bytes() == original

    assert lose(made) == [str(first)]
    assert len(asides(made.file)) == MOST_UNREAD
    assert first.read_bytes() != original
    assert made.disk.lost == lost < 40, "a record is lost once"
    made.disk.close()
    assert remove_aside(made.file, time.time() + 60)
    assert asides(made.file) == []


def test_files_that_could_not_be_read_go_when_the_journal_needs_their_room_the_oldest_first(made: Made) -> None:
    """A pod whose volume outgrows its limit is evicted, and takes the journal with it."""
    for count in (1, 2):
        assert lose(made) == []
        os.utime(asides(made.file)[-1], (count * 1000.0,) * 2)
    first, second = asides(made.file)
    made.disk._most_bytes = sum(each.stat().st_size for each in (made.file, first, second))
    with capture_logs() as nothing:
        made.disk._look()
    assert (asides(made.file), nothing) == ([first, second], [])

    with capture_logs() as lines:
        made.disk.commit(framed(range(3000, 3500)), 0)
        assert asides(made.file) == [second]
        made.disk._most_bytes = 0
        made.disk._look()
        made.disk._look()

    assert asides(made.file) == []
    assert [line["file"] for line in lines] == [str(first), str(second)]
    assert all("JOURNAL_MAX_MB" in line["why"] for line in lines)
    made.disk.close()


def test_a_record_is_lost_once_though_the_new_file_is_damaged_at_once(made: Made) -> None:
    made.device.is_away = False
    with capture_logs():
        found = made.disk._retried(lambda file: file.read(0, 2000, 5000), 0)
        assert (len(found), made.disk.lost) == (1999, 1)
        made.disk._repair("again", made.disk._position, {}, 0)

    assert (made.disk.lost, made.disk.damaged) == (1, 2)
    made.disk.close()
