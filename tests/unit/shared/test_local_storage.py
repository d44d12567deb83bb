"""Files appear whole or not at all."""

import errno
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.errors import StartupError, StorageFull
from shared.storage.local import Storage

JOB = "a" * 32


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path)
    storage.prepare()
    return storage


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_file_appears_when_it_is_whole(storage, tmp_path):
    """Until the block ends well, nobody sees it under its name."""
    path = storage.output_path(JOB)
    with storage.writing(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert files(tmp_path) == [f"output/{JOB}_response.wav"]
    assert storage.relative(path) == f"output/{JOB}_response.wav"
    assert storage.absolute(storage.relative(path)) == path


def test_an_error_leaves_nothing(storage, tmp_path):
    """Neither the file nor a part of it, and an older file of that name stays as it was."""
    path = storage.input_path(JOB)
    path.write_bytes(b"older")

    def fail() -> None:
        with storage.writing(path) as file:
            file.write(b"newer")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert files(tmp_path) == [f"input/{JOB}"]
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_its_own_error(storage, tmp_path, monkeypatch, number):
    """Whichever call the disk refuses."""

    def refuse(_handle: int) -> None:
        raise OSError(number, "no room")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageFull):
        storage.write_segment(JOB, 0, "token", b"data")
    assert files(tmp_path) == []


def test_a_write_that_the_system_refuses_leaves_nothing(tmp_path):
    """For real: a process that may write no more than 1,000 bytes to a file."""
    program = f"""
import resource, signal
from pathlib import Path
from shared.storage.local import Storage
from shared.errors import StorageFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
storage = Storage(Path({str(tmp_path)!r}))
storage.prepare()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    storage.write_segment("a", 0, "token", bytes(100_000))
except StorageFull as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "storage_full\n"
    assert files(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_two_attempts_do_not_write_over_each_other(storage):
    """A late attempt at a segment cannot change what an earlier one has committed."""
    first = storage.write_segment(JOB, 0, "one", b"1")
    second = storage.write_segment(JOB, 0, "two", b"2")
    assert storage.absolute(first).read_bytes() == b"1"
    assert storage.absolute(second).read_bytes() == b"2"


def test_erasing_a_job_leaves_no_file_of_it(storage, tmp_path):
    """Upload, segments and answer go; another job's stay; a second time is no error."""
    other = "b" * 32
    for job_id in (JOB, other):
        storage.input_path(job_id).write_bytes(b"x")
        storage.output_path(job_id).write_bytes(b"x")
        storage.write_segment(job_id, 0, "t", b"x")
    storage.erase(JOB)
    storage.erase(JOB)
    assert files(tmp_path) == [f"input/{other}", f"output/{other}_response.wav", f"work/{other}/0000-t.wav"]


def test_old_files_are_found_by_their_job(storage):
    """Each kind of file leads to its job's id, once it is old enough."""
    storage.input_path(JOB).write_bytes(b"x")
    storage.output_path("b" * 32).write_bytes(b"x")
    storage.write_segment("c" * 32, 0, "t", b"x")
    assert storage.job_ids_on_disk(older_than_s=60) == set()
    time.sleep(0.05)
    assert storage.job_ids_on_disk(older_than_s=0.01) == {letter * 32 for letter in "abc"}


def test_what_a_killed_process_left_half_written_is_removed(storage, tmp_path):
    """A temporary file in any folder, when it is old; one that is being written stays."""
    left = tmp_path / "work" / JOB / ".0000-t.wav-x.part"
    left.parent.mkdir()
    left.write_bytes(b"half")
    storage.drop_partial(older_than_s=60)
    assert left.exists()
    os.utime(left, (1, 1))
    storage.drop_partial(older_than_s=60)
    assert not left.exists()


def test_a_volume_that_cannot_be_written_is_told_at_start():
    """The message names the variable."""
    with pytest.raises(StartupError, match="DATA_DIR"):
        Storage(Path("/proc/nowhere")).prepare()
