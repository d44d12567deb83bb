"""The contract of every storage, held against each implementation."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

from shared.errors import InputMissing
from shared.storage.local import LocalStorage
from shared.storage.storage import Storage, StoredFile

JOB = "a" * 32
OTHER = "b" * 32

IMPLEMENTATIONS: dict[str, Callable[[Path], Storage]] = {"local": LocalStorage}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    storage = IMPLEMENTATIONS[request.param](tmp_path)
    storage.prepare()
    return storage


class Place:
    """The upload or the answer of a job, which have the same contract."""

    def __init__(self, storage: Storage, kind: str) -> None:
        self.writer: Callable[[str], AbstractContextManager[BinaryIO]] = getattr(storage, f"{kind}_writer")
        self.open: Callable[[str], StoredFile] = getattr(storage, f"open_{kind}")

    def write(self, data: bytes, job_id: str = JOB) -> None:
        with self.writer(job_id) as file:
            file.write(data)

    def read(self, job_id: str = JOB) -> bytes:
        return read(self.open(job_id))


@pytest.fixture(params=["upload", "answer"])
def place(request: pytest.FixtureRequest, storage: Storage) -> Place:
    return Place(storage, request.param)


def read(file: StoredFile) -> bytes:
    with file:
        return file.content.read()


def fill(storage: Storage, job_id: str) -> str:
    """Store one file of each kind for a job; return the segment's name."""
    Place(storage, "upload").write(b"upload", job_id)
    Place(storage, "answer").write(b"answer", job_id)
    return storage.write_segment(job_id, 0, "token", b"segment")


def test_file_appears_when_it_is_complete(place: Place) -> None:
    """A file cannot be opened until its writer's block has ended."""
    with place.writer(JOB) as file:
        file.write(b"half")
        with pytest.raises(FileNotFoundError):
            place.open(JOB)
        file.write(b" and half")
    assert place.read() == b"half and half"


def test_error_while_writing_leaves_the_older_file(place: Place) -> None:
    """A writer whose block fails changes nothing that other processes see."""

    def fail() -> None:
        with place.writer(JOB) as file:
            file.write(b"newer")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with pytest.raises(FileNotFoundError):
        place.open(JOB)
    place.write(b"older")
    with pytest.raises(RuntimeError):
        fail()
    assert place.read() == b"older"


def test_open_file_has_its_size_and_can_be_sought(place: Place) -> None:
    """A part of a file can be read without the rest, as a Range request needs it."""
    before = time.time()
    place.write(bytes(range(100)))
    with place.open(JOB) as file:
        assert file.size == 100
        assert abs(file.modified_at - before) < 60
        file.content.seek(40)
        assert file.content.read(2) == bytes([40, 41])
    assert file.content.closed


def test_answer_has_a_name_to_save_it_under(storage: Storage) -> None:
    """The base name of an open answer is the last part of its stored name."""
    fill(storage, JOB)
    with storage.open_answer(JOB) as file:
        assert storage.answer_name(JOB).endswith(f"/{file.name}")
        assert JOB in file.name


def test_erasing_does_not_disturb_a_reader(storage: Storage) -> None:
    """A file that is open when its job is erased can still be read to its end."""
    fill(storage, JOB)
    with storage.open_answer(JOB) as file:
        storage.erase(JOB)
        assert file.content.read() == b"answer"


def test_local_copy_has_the_upload(storage: Storage) -> None:
    """An engine that takes only a path gets the upload's bytes at one."""
    fill(storage, JOB)
    with storage.local_copy(JOB) as path:
        assert path.read_bytes() == b"upload"


def test_local_copy_of_a_missing_upload_is_an_input_error(storage: Storage) -> None:
    """A task whose upload has been erased fails with InputMissing, which is not retried."""
    with pytest.raises(InputMissing), storage.local_copy(JOB):
        raise AssertionError


def test_attempts_do_not_overwrite_each_other(storage: Storage) -> None:
    """A late attempt at a segment cannot change what an earlier one has committed."""
    first = storage.write_segment(JOB, 0, "one", b"1")
    second = storage.write_segment(JOB, 0, "two", b"2")
    assert read(storage.open_segment(first)) == b"1"
    assert read(storage.open_segment(second)) == b"2"


def test_erasing_a_job_leaves_no_file_of_it(storage: Storage) -> None:
    """Upload, segments and answer are erased; another job's stay; erasing twice is no error."""
    segment = fill(storage, JOB)
    others_segment = fill(storage, OTHER)
    storage.erase(JOB)
    storage.erase(JOB)
    for gone in (lambda: storage.open_upload(JOB), lambda: storage.open_answer(JOB)):
        with pytest.raises(FileNotFoundError):
            gone()
    with pytest.raises(FileNotFoundError):
        storage.open_segment(segment)
    assert read(storage.open_upload(OTHER)) == b"upload"
    assert read(storage.open_answer(OTHER)) == b"answer"
    assert read(storage.open_segment(others_segment)) == b"segment"


def test_erasing_segments_keeps_upload_and_answer(storage: Storage) -> None:
    """A complete answer needs its segments no more."""
    segment = fill(storage, JOB)
    storage.erase_segments(JOB)
    with pytest.raises(FileNotFoundError):
        storage.open_segment(segment)
    assert read(storage.open_upload(JOB)) == b"upload"
    assert read(storage.open_answer(JOB)) == b"answer"


@pytest.mark.parametrize("kind", ["upload", "answer", "segment"])
def test_old_files_lead_to_their_job(storage: Storage, kind: str) -> None:
    """Each kind of file names its job, once it is old enough."""
    if kind == "segment":
        storage.write_segment(JOB, 0, "token", b"x")
    else:
        Place(storage, kind).write(b"x")
    assert storage.job_ids_on_disk(older_than_s=60) == set()
    time.sleep(0.05)
    assert storage.job_ids_on_disk(older_than_s=0.01) == {JOB}


def test_partial_file_of_a_writer_is_kept(storage: Storage) -> None:
    """Cleanup does not remove what is being written."""
    with storage.answer_writer(JOB) as file:
        file.write(b"half")
        storage.remove_partial_files(older_than_s=60)
    assert read(storage.open_answer(JOB)) == b"half"


def test_cached_segment_is_reused_with_its_bytes(storage: Storage) -> None:
    """A second job gets a segment of its own with the same bytes, and keeps it when the first is erased."""
    segment = storage.write_segment(JOB, 0, "token", b"sound")
    storage.cache_segment(segment, "key", 1_000)
    reused = storage.reuse_segment(OTHER, 3, "other", "key")
    assert reused not in (None, segment)
    storage.erase(JOB)
    assert read(storage.open_segment(str(reused))) == b"sound"


def test_cache_has_nothing_for_another_key(storage: Storage) -> None:
    """A segment is reused for its own key only."""
    storage.cache_segment(storage.write_segment(JOB, 0, "token", b"sound"), "key", 1_000)
    assert storage.reuse_segment(OTHER, 0, "token", "another") is None


def test_erased_sound_is_not_reused(storage: Storage) -> None:
    """The cache has nothing once the last job with a segment is erased."""
    storage.cache_segment(storage.write_segment(JOB, 0, "token", b"sound"), "key", 1_000)
    storage.erase(JOB)
    assert storage.reuse_segment(OTHER, 0, "token", "key") is None


def test_cleared_cache_keeps_the_segments_of_jobs(storage: Storage) -> None:
    """Emptying the cache takes nothing from a job."""
    segment = storage.write_segment(JOB, 0, "token", b"sound")
    storage.cache_segment(segment, "key", 1_000)
    storage.clear_cache()
    assert storage.reuse_segment(OTHER, 0, "token", "key") is None
    assert read(storage.open_segment(segment)) == b"sound"
