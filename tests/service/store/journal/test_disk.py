import asyncio
import json
import os
import random
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.store.journal.aside import aside_of
from batkol.store.journal.disk import FILE, Disk
from batkol.store.journal.file import JournalFile, wal_of
from batkol.store.journal.opening import opened as both_tiers
from batkol.store.journal.reserve import RESERVE_BYTES
from support.files.search import holding
from support.postgres.journals import framed, killed, numbers, opened, payload


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A journal as a kill left it: 300 records in the file, 200 in its log, of which 50 were released."""
    disk = opened(tmp_path / "journal")
    disk.commit(framed(range(1, 301)), 0)
    disk._empty(disk._opened())
    for first in range(301, 501, 20):
        disk.commit(framed(range(first, first + 20)), 0)
    disk.commit((), 50)
    copy = killed(tmp_path / "journal", tmp_path / "left")
    disk.close()
    return copy


def test_what_a_kill_leaves_is_whole(left: Path) -> None:
    disk = opened(left)

    assert (disk.committed, disk.released, numbers(disk, 50)) == (500, 50, list(range(51, 501)))
    assert (disk.damaged, disk.lost) == (0, 0)
    disk.close()


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_file_is_not_written_to_before_it_is_known_to_be_whole(left: Path, *, is_damaged: bool) -> None:
    """SQLite writes into a log that it takes for empty, over what could be read from it."""
    log = wal_of(left / FILE)
    if is_damaged:
        log.write_bytes(log.read_bytes()[:20] + b"?" + log.read_bytes()[21:])
    before = ((left / FILE).read_bytes(), log.read_bytes())
    file = JournalFile(left / FILE)

    assert ((left / FILE).read_bytes(), log.read_bytes()) == before
    file.close()


@pytest.mark.parametrize("name", [FILE, f"{FILE}-wal"])
def test_one_changed_bit_costs_one_record_at_most_wherever_it_is(left: Path, tmp_path: Path, name: str) -> None:
    """SQLite alone: a bit in the log takes back every commit behind it, and its own check finds nothing."""
    chosen = random.Random(name)
    damaged = 0
    for run in range(15):
        folder = tmp_path / f"run-{run}"
        shutil.copytree(left, folder)
        data = bytearray((folder / name).read_bytes())
        at = chosen.randrange(len(data)) if run else 20
        data[at] ^= 1 << chosen.randrange(8)
        (folder / name).write_bytes(data)
        with capture_logs() as lines:
            disk = opened(folder)
            found = numbers(disk, 50)

        assert set(found) <= set(range(51, 501)), at
        assert len(found) + disk.lost == 450, at
        assert disk.lost <= 1, at
        assert disk.damaged == len([line for line in lines if line["log_level"] == "error"]), at
        damaged += disk.damaged
        disk.commit(framed([501]), 50)
        assert numbers(disk, 500) == [501], at
        disk.close()
        shutil.rmtree(folder)
    assert damaged > 4


@pytest.mark.parametrize("harm", ["cut", "emptied", "garbage", "no log", "no file", "neither"])
def test_a_file_that_is_not_what_it_was_gives_what_it_can_and_the_rest_is_counted(left: Path, harm: str) -> None:
    file, log = left / FILE, wal_of(left / FILE)
    if harm == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif harm == "emptied":
        os.truncate(file, 0)
    elif harm == "garbage":
        file.write_bytes(b"\x5a" * file.stat().st_size)
    if harm in ("no log", "neither"):
        log.unlink()
    if harm in ("no file", "neither"):
        file.unlink()
    with capture_logs() as lines:
        disk = opened(left)

    found = numbers(disk, 50)
    assert len(found) + disk.lost == 450
    assert disk.damaged == 1
    (error,) = [line for line in lines if line["log_level"] == "error"]
    assert (error["lost"], error["read"]) == (disk.lost, len(found))
    assert "LOST" in error["event"]
    if harm not in ("no log", "neither"):
        assert set(range(301, 501)) <= set(found), "the log has them"
    disk.commit(framed([501]), 50)
    disk.close()
    again = opened(left)
    assert (numbers(again, 50), again.lost, again.damaged) == ([*found, 501], 0, 0), "it is said once"
    again.close()


def test_the_damaged_file_is_kept_and_nothing_else_is(left: Path) -> None:
    (left / FILE).write_bytes(b"\x5a" * 100_000)
    with capture_logs():
        opened(left).close()

    assert aside_of(left / FILE).read_bytes() == b"\x5a" * 100_000
    assert {path.name for path in left.iterdir()} == {
        "lock", "mark", "reserve", FILE, f"{FILE}.damaged", f"{FILE}.damaged-wal",
    }  # fmt: skip


def test_a_changed_byte_under_a_running_journal_is_found_when_it_is_read(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    for first in range(1, 8001, 1000):
        disk.commit(framed(range(first, first + 1000)), 0)
    disk._empty(disk._opened())
    file = tmp_path / FILE
    at = file.read_bytes().find(b"record 1017 ")
    with file.open("r+b") as written:
        written.seek(at)
        written.write(b"r0tten")
    with capture_logs() as lines:
        found = numbers(disk)

    assert found == [number for number in range(1, 8001) if number != 1017]
    assert (disk.lost, disk.damaged) == (1, 1)
    assert [(line["lost"], line["read"]) for line in lines if line["log_level"] == "error"] == [(1, 7999)]
    disk.commit(framed([8001]), 8000)
    assert numbers(disk, 8000) == [8001]
    disk.close()


@pytest.mark.parametrize("names", [(FILE,), (f"{FILE}-wal",), (FILE, f"{FILE}-wal")])
@pytest.mark.parametrize("noticed_by", ["commit", "watch"])
def test_a_file_that_is_removed_while_it_is_in_use_is_noticed_and_made_anew(
    tmp_path: Path, names: tuple[str, ...], noticed_by: str
) -> None:
    disk = opened(tmp_path / "journal")
    disk.commit(framed(range(1, 101)), 0)
    disk._empty(disk._opened())
    disk.commit(framed(range(101, 201)), 20)
    for name in names:
        (tmp_path / "journal" / name).unlink()
    with capture_logs() as lines:
        if noticed_by == "commit":
            disk.commit(framed([201]), 20)
        else:
            disk.watch(20)
            disk.commit(framed([201]), 20)

    after_a_kill = opened(killed(tmp_path / "journal", tmp_path / "left"))
    assert numbers(after_a_kill, 20) == list(range(21, 202))
    assert (disk.damaged, disk.lost, after_a_kill.lost) == (1, 0, 0)
    assert ["removed while in use" in line["event"] for line in lines] == [True]
    after_a_kill.close()
    disk.close()


def test_a_crash_in_mid_repair_loses_nothing(left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rename of the repair fails once; the next start finishes it."""
    (left / FILE).write_bytes(b"\x5a" * 1000)
    for failing in range(1, 6):
        folder = tmp_path / str(failing)
        shutil.copytree(left, folder)
        done, real = 0, Path.replace

        def replace(self: Path, target: Path, real: object = real, failing: int = failing) -> Path:
            nonlocal done
            done += 1
            if done == failing:
                raise OSError(5, "Input/output error")
            return real(self, target)  # type: ignore[operator, no-any-return]

        disk = Disk(folder)
        disk.lock()
        with monkeypatch.context() as patched, capture_logs():
            patched.setattr(Path, "replace", replace)
            try:
                disk.open({})
            except OSError as error:
                assert error.errno == 5  # noqa: PT017
        disk.close()
        with capture_logs():
            again = opened(folder)
        assert set(range(301, 501)) <= set(numbers(again, 50)), failing
        again.close()


def test_a_second_process_is_refused_by_the_lock_and_by_the_file(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    other = (
        "import sqlite3, sys\n"
        "try: sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM records')\n"
        "except sqlite3.OperationalError as error: print(error)"
    )
    command = [sys.executable, "-c", other, str(tmp_path / FILE)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "database is locked\n"
    with pytest.raises(OSError, match="another process uses it"):
        Disk(tmp_path).lock()
    assert not (tmp_path / f"{FILE}-shm").exists()
    disk.close()


def test_no_other_user_may_read_any_of_it(tmp_path: Path) -> None:
    disk = opened(tmp_path / "journal")
    disk.commit(framed([1]), 0)

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "journal").iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    disk.close()


def test_what_was_delivered_leaves_the_file_and_the_disk_gets_its_room_back(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    for first in range(1, 5001, 500):
        disk.commit(framed(range(first, first + 500)), 0)
    large = (tmp_path / FILE).stat().st_size
    disk.tidy(5000)

    assert holding(tmp_path, b"record ") == []
    assert (disk.rows, disk.size, disk.is_clean) == (0, 0, True)
    assert (tmp_path / FILE).stat().st_size < large / 10
    assert wal_of(tmp_path / FILE).stat().st_size == 0
    disk.close()


def test_what_was_delivered_leaves_the_log_though_records_never_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = opened(tmp_path)
    disk.commit(framed([1]), 0)
    disk.commit((), 1)
    assert holding(tmp_path, payload(1)) != []
    monkeypatch.setattr("batkol.store.journal.disk.TIDY_S", 0.0)
    disk.commit(framed([2]), 1)
    disk.commit((), 2)

    assert holding(tmp_path, b"record ") == []
    disk.close()


def test_the_log_stays_small_whatever_is_written(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    for first in range(1, 20_001, 5000):
        disk.commit(framed(range(first, first + 5000)), max(0, first - 2500))
        assert wal_of(tmp_path / FILE).stat().st_size < 4 << 20

    assert numbers(disk, 12_501) == list(range(12_502, 20_001))
    disk.close()


ON_A_SMALL_DISK = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.postgres.journals import framed, numbers, opened
folder = Path(sys.argv[1]) / "journal"
disk, last = opened(folder), 0
(Path(sys.argv[1]) / "other").touch()
held = disk._reserve.is_held
try:
    while True:
        disk.commit(framed(range(last + 1, last + 101)), 0)
        last += 100
except OSError as error:
    full = str(error)
try:
    with (Path(sys.argv[1]) / "other").open("ab", buffering=0) as other:
        while other.write(bytes(4096)): pass
except OSError: pass
free = os.statvfs(sys.argv[1]).f_bavail
kept = disk.committed
got = numbers(disk) == list(range(1, kept + 1))
disk.commit((), kept - 10)
while disk.has_more: disk.commit((), kept - 10)
deleted = disk.rows
disk.commit(framed(range(kept + 1, kept + 101)), kept - 10)
after = numbers(disk, kept - 10) == list(range(kept - 9, kept + 101))
disk.tidy(kept + 100)
print(json.dumps({"held": held, "full": full, "free": free, "kept": kept, "got": got, "deleted": deleted,
    "after": after, "clean": disk.is_clean, "lost": disk.lost}))
"""


def on_a_small_disk(tmp_path: Path, script: str, *, megabytes: int = 16) -> dict[str, object]:
    """Run the script on a file system of its own; returns what it says in JSON."""
    tests = Path(__file__).parents[3]
    folder, python = shlex.quote(str(tmp_path)), shlex.quote(sys.executable)
    mount = f"mount -t tmpfs -o size={megabytes}m none {folder}"
    inner = f'{mount} && exec {python} -c "$SCRIPT" {folder} {shlex.quote(str(tests))}'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", inner], env={**os.environ, "SCRIPT": script},
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    if "unshare failed" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip("this machine lets no user mount a small file system")
    assert ran.returncode == 0, ran.stderr
    said: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return said


def test_a_full_disk_at_release_blocks_nothing(tmp_path: Path) -> None:
    """A file system of 16 MB, with not a block left: what was delivered is deleted, and there is room again."""
    said = on_a_small_disk(tmp_path, ON_A_SMALL_DISK)

    assert "SQLITE_FULL" in str(said["full"])
    assert said["kept"] > 10_000  # type: ignore[operator]
    assert {name: said[name] for name in ("held", "free", "got", "deleted", "after", "clean", "lost")} == {
        "held": True, "free": 0, "got": True, "deleted": 10, "after": True, "clean": True, "lost": 0,
    }  # fmt: skip


DAMAGED_ON_A_FULL_DISK = """
import asyncio, json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from batkol.errors import ConfigurationError
from batkol.store.journal import Journal
from support.postgres.journals import framed, numbers, opened
root, records = Path(sys.argv[1]), RECORDS
folder = root / "journal"
async def before():
    kept = Journal(folder, max_bytes=1 << 30, memory=root)
    await kept.open()
    await kept.close()
asyncio.run(before())
disk = opened(folder)
disk.commit(framed(range(1, records + 1)), 0)
disk.close()
file = folder / "journal.sqlite"
data = bytearray(file.read_bytes())
data[data.find(b"record 1017 ") + 3] ^= 4
file.write_bytes(data)
try:
    with (root / "other").open("ab", buffering=0) as other:
        while other.write(bytes(4096)): pass
except OSError: pass
free = os.statvfs(root).f_bavail

async def main():
    kept = Journal(folder, max_bytes=1 << 30, memory=root)
    try:
        await kept.open()
    except ConfigurationError as error:
        return {"refused": str(error), "half": sorted(each.name for each in folder.glob("*.half*")),
            "reserve": (folder / "reserve").stat().st_blocks * 512}
    said = {"waiting": kept.waiting, "lost": kept.lost, "held": kept._disk._reserve.is_held}
    said["got"] = len(await kept.read(10_000))
    kept.append(b"new")
    await kept.release(kept.last - 1)
    while kept.committed < kept.last: await asyncio.sleep(0.01)
    await kept.close()
    return said

print(json.dumps({"free": free, **asyncio.run(main())}))
"""


@pytest.mark.nightly
def test_a_damaged_file_on_a_full_disk_is_repaired_in_the_room_that_is_kept(tmp_path: Path) -> None:
    said = on_a_small_disk(tmp_path, DAMAGED_ON_A_FULL_DISK.replace("RECORDS", "4000"))

    assert said == {"free": 0, "waiting": 4000, "lost": 1, "held": True, "got": 3999}


@pytest.mark.nightly
def test_a_damaged_file_for_which_there_is_no_room_says_so_and_stays(tmp_path: Path) -> None:
    said = on_a_small_disk(tmp_path, DAMAGED_ON_A_FULL_DISK.replace("RECORDS", "9000"))

    assert "free space on its disk" in str(said.pop("refused")), said
    assert said == {"free": 0, "half": [], "reserve": RESERVE_BYTES}, "and the room is kept for the next start"


WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, sys
from pathlib import Path
from batkol.store.journal import Journal

async def main():
    kept = Journal(Path(sys.argv[1]) / "journal", max_bytes=1 << 30, memory=Path(sys.argv[1]))
    await kept.open()
    kept.append(b"first")
    await asyncio.sleep(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1,) * 2)
    try:
        os.open("/dev/null", os.O_RDONLY)
    except OSError as error:
        print(error.errno)
    for n in range(3000):
        assert kept.append(b"%1000d" % n)
    while kept.committed < kept.last:
        await asyncio.sleep(0.01)
    got = len(await kept.read(5000))
    await kept.release(2000)
    while kept._disk.rows > 1001:
        await asyncio.sleep(0.01)
    await kept.release(kept.last)
    await kept.settle()
    print(got, kept.failing or "no fault", kept.unsafe, kept._disk.is_clean, kept.damaged)
    kept.append(b"last")
    while kept.committed < kept.last:
        await asyncio.sleep(0.01)
    await kept.close()

asyncio.run(main())
"""


async def test_without_a_descriptor_to_be_had_everything_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_DESCRIPTORS, str(tmp_path)]
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=50)

    assert ran.stdout.splitlines() == ["24", "3001 no fault 0 True 0"], ran.stderr
    with sqlite3.connect(tmp_path / "journal" / FILE) as left:
        assert [row[0] for row in left.execute("SELECT number FROM records")] == [3002]
    left.close()


SPEAKS_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from batkol.store.journal import Journal

async def main():
    kept = Journal(Path(sys.argv[1]) / "journal", max_bytes=1 << 30, memory=Path(sys.argv[1]))
    await kept.open()
    n = int(sys.argv[2])
    while True:
        for _ in range(20):
            kept.append(b"%d" % n + bytes(700))
            sys.stdout.write(f"{n}\\n")
            n += 1
        sys.stdout.flush()
        if n % 1000 == 0:
            await kept.release(kept.last - 300)
            sys.stdout.write(f"released {n - 301}\\n")
        await asyncio.sleep(0.0005)

asyncio.run(main())
"""


@pytest.mark.timeout(120)
async def test_a_kill_at_any_moment_of_a_commit_loses_nothing_that_was_seen(tmp_path: Path) -> None:
    chosen = random.Random(7)
    seen: list[int] = []
    released, run = -1, 0
    while run < 4 or len(seen) < 1000:  # a busy machine may come to too few in these
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SPEAKS_UNTIL_KILLED, str(tmp_path), str(100_000 * run), stdout=asyncio.subprocess.PIPE
        )
        run += 1
        assert process.stdout is not None
        lines = [await process.stdout.readline()]
        await asyncio.sleep(chosen.uniform(0.05, 0.5))
        process.kill()
        lines += (await process.communicate())[0].splitlines(keepends=True)
        for line in [each for each in lines if each.endswith(b"\n")]:
            if line.startswith(b"released"):
                released = int(line.split()[1])
            elif line.strip().isdigit():
                seen.append(int(line))
    kept = Disk(tmp_path / "journal")
    left = both_tiers(kept, tmp_path / "journal", tmp_path, None)
    records = [int(each.payload.rstrip(b"\0")) for each in kept.read(left.released, left.last, 1_000_000)]

    assert (kept.lost, kept.damaged) == (0, 0)
    assert records == sorted(set(records))
    assert {number for number in seen if number > released} <= set(records)
    left.newest.close()
    kept.close()
