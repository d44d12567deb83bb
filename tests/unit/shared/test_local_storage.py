"""Storage in a local folder: where files lie, and how a write can fail."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import StartupError, StorageFull
from shared.storage.local import LocalStorage

JOB = "a" * 32


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path)
    storage.prepare()
    return storage


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_files_have_documented_names(storage: LocalStorage, tmp_path: Path) -> None:
    """Operators find uploads, segments and answers by the job's id."""
    with storage.upload_writer(JOB) as file:
        file.write(b"x")
    with storage.answer_writer(JOB) as file:
        file.write(b"x")
    segment = storage.write_segment(JOB, 0, "t", b"x")
    storage.cache_segment(segment, "key", 1_000)
    assert files(tmp_path) == ["cache/key", f"input/{JOB}", f"output/{JOB}_response.wav", f"work/{JOB}/0000-t.wav"]
    assert segment == f"work/{JOB}/0000-t.wav"
    assert storage.answer_name(JOB) == f"output/{JOB}_response.wav"


def test_local_copy_is_the_upload_itself(storage: LocalStorage, tmp_path: Path) -> None:
    """A recording on a local volume is not copied for the engine."""
    with storage.upload_writer(JOB) as file:
        file.write(b"x")
    with storage.local_copy(JOB) as path:
        assert path == tmp_path / "input" / JOB


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_its_own_error(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A disk that refuses a call for lack of room raises StorageFull and leaves no file."""

    def refuse(_handle: int) -> None:
        raise OSError(number, "no room")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageFull):
        storage.write_segment(JOB, 0, "token", b"data")
    assert files(tmp_path) == []


def test_write_that_the_system_refuses_leaves_nothing(tmp_path: Path) -> None:
    """A real process that may write no more than 1,000 bytes to a file raises StorageFull and leaves no file."""
    program = f"""
import resource, signal
from pathlib import Path
from shared.storage.local import LocalStorage
from shared.errors import StorageFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
storage = LocalStorage(Path({str(tmp_path)!r}))
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


def test_old_partial_files_are_removed(storage: LocalStorage, tmp_path: Path) -> None:
    """A temporary file that a killed process left goes when it is old; one that is being written stays."""
    left = tmp_path / "work" / JOB / ".0000-t.wav-x.part"
    left.parent.mkdir()
    left.write_bytes(b"half")
    storage.remove_partial_files(older_than_s=60)
    assert left.exists()
    os.utime(left, (1, 1))
    storage.remove_partial_files(older_than_s=60)
    assert not left.exists()


def test_volume_that_cannot_be_written_is_a_startup_error() -> None:
    """A volume that refuses writes stops the start; the message names the variable."""
    with pytest.raises(StartupError, match="DATA_DIR"):
        LocalStorage(Path("/proc/nowhere")).prepare()
