"""`kill -9` of workers, Redis and the API at any moment: each job ends, and only once."""

import time
import wave

import pytest
from redis import Redis

from shared.queue.keys import KEYS

pytestmark = pytest.mark.redis


def events(own_redis, job_id):
    with Redis.from_url(own_redis.url, decode_responses=True) as client:
        return [entry["event"] for _, entry in client.xrange(KEYS["EVENTS"] + job_id)]


def assert_complete(services, job):
    """Assert that the job has completed with one readable WAV file of the stated duration."""
    assert job["status"] == "completed", (job, services.logs())
    with wave.open(str(services.data_dir / job["audio_path"])) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(job["duration_s"], abs=0.01)
        assert job["duration_s"] > 0.5
    assert [name for name in services.files() if name.startswith("output/")] == [job["audio_path"]]


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
def test_killed_worker_delays_its_job_by_ten_seconds_at_most(services, own_redis, stage):
    """A killed worker's task is taken over within 10 s, and the job has one completed event and one WAV file."""
    second = f"{stage}-2"
    services.start("api", "stt", "llm", "tts")
    services.wait_until_ready()
    services.delay(stage, 30)
    job_id = services.upload()
    services.wait_until_started(job_id, stage)
    services.delay(stage, 0)
    services.start(second)
    services.wait_until_ready(**{stage: 2})

    services.kill(stage)
    killed_at = time.monotonic()
    job = services.wait_until_ended(job_id)
    assert time.monotonic() - killed_at < 10
    assert_complete(services, job)
    assert job["attempts"][stage] >= 2
    assert events(own_redis, job_id).count("completed") == 1


def test_killed_redis_loses_no_job(services, own_redis):
    """Running, waiting and completed jobs survive a kill of Redis, to which workers and API reconnect on their own."""
    services.start()
    services.wait_until_ready()
    completed = services.upload()
    assert_complete(services, services.wait_until_ended(completed))
    services.delay("stt", 1)
    jobs = [services.upload() for _ in range(3)]
    services.wait_until_started(jobs[0], "stt")

    own_redis.kill()
    response = services.client.get(f"/status/{completed}")
    assert (response.status_code, response.json()["code"]) == (503, "queue_unavailable")
    assert services.client.get("/readyz").status_code == 503
    time.sleep(2)
    own_redis.start()

    services.wait_until_ready()
    for job_id in jobs:
        job = services.wait_until_ended(job_id)
        assert job["status"] == "completed", (job, services.logs())
        assert events(own_redis, job_id).count("completed") == 1
    assert services.status(completed)["status"] == "completed"
    assert len([name for name in services.files() if name.startswith("output/")]) == 4


def test_killed_api_loses_no_job(services):
    """A job continues while the API is down, and the restarted API returns its status."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 1)
    job_id = services.upload()
    services.kill("api")
    services.start("api")
    services.wait_until_ready()
    assert_complete(services, services.wait_until_ended(job_id))


def test_stopped_worker_finishes_or_releases_its_task_at_once(services):
    """A worker that gets SIGTERM during a task costs no attempt: it finishes the task, or releases it at once."""
    services.start("api", "stt", "stt-2", "llm", "tts")
    services.wait_until_ready(stt=2)
    services.delay("stt", 1.5)
    jobs = [services.upload() for _ in range(2)]
    for job_id in jobs:
        services.wait_until_started(job_id, "stt")
    worker = services.processes.pop("stt")
    worker.terminate()
    for job_id in jobs:
        job = services.wait_until_ended(job_id)
        assert (job["status"], job["attempts"]["stt"]) == ("completed", 1)
    assert worker.wait(20) == 0


def test_two_workers_serve_two_jobs_at_once(services):
    """Two jobs on two STT workers are both claimed within 1.5 s, though each takes 2 s."""
    services.start("api", "stt", "stt-2", "llm", "tts")
    services.wait_until_ready(stt=2)
    services.delay("stt", 2)
    jobs = [services.upload() for _ in range(2)]
    waits = [services.wait_until_ended(job_id)["timings"]["stages"]["stt"]["waited_s"] for job_id in jobs]
    assert max(waits) < 1.5


def test_killed_tts_worker_repeats_only_the_held_segment(services):
    """A killed TTS worker's held segment is synthesized again, and the segments committed before are kept."""
    services.start("api", "stt", "llm", "tts")
    services.wait_until_ready()
    services.delay("tts", 0.5)
    job_id = services.upload(system_prompt="twelve sentences")
    services.wait_until_started(job_id, "tts")
    time.sleep(2)
    committed = [name for name in services.files() if name.startswith("work/")]
    assert len(committed) >= 2
    services.start("tts-2")
    services.wait_until_ready(tts=2)
    services.kill("tts")
    services.delay("tts", 0)
    job = services.wait_until_ended(job_id)
    assert_complete(services, job)
    segments = len({name.rpartition("/")[2].partition("-")[0] for name in services.files() if name.startswith("work/")})
    assert segments == 12
    assert job["attempts"]["tts"] == segments + 1 + 1, "each segment, one of them twice, and the join"
    assert set(committed) <= set(services.files())


def test_killed_worker_with_a_batch_loses_no_job_of_it(services, own_redis):
    """Of a batch whose worker is killed, a cancelled job stays cancelled, and another worker completes the rest."""
    services.own_settings = {name: {"STT_ENGINE": "slow-batch"} for name in ("stt", "stt-2")}
    services.start("api", "stt", "llm", "tts")
    services.wait_until_ready()
    services.delay("stt", 2)
    first = services.upload()
    services.wait_until_started(first, "stt")
    services.delay("stt", 30)
    batch = [services.upload() for _ in range(4)]
    for job_id in batch:
        services.wait_until_started(job_id, "stt")
    cancelled, *others = batch
    assert services.client.delete(f"/jobs/{cancelled}").is_success
    services.delay("stt", 0)
    services.start("stt-2")
    services.wait_until_ready(stt=2)
    services.kill("stt")
    for job_id in (first, *others):
        job = services.wait_until_ended(job_id)
        assert job["status"] == "completed", (job, services.logs())
        assert events(own_redis, job_id).count("completed") == 1
        assert job["attempts"]["stt"] == (1 if job_id == first else 2)
    assert len([name for name in services.files() if name.startswith("output/")]) == 4
