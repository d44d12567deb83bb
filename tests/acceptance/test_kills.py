"""kill -9 of anything, in the middle of anything: the job ends, once."""

import time
import wave

import pytest
from redis import Redis

from shared.queue.keys import KEYS

pytestmark = pytest.mark.redis


def events(own_redis, job_id):
    with Redis.from_url(own_redis.url, decode_responses=True) as client:
        return [entry["event"] for _, entry in client.xrange(KEYS["EVENTS"] + job_id)]


def assert_whole(services, job):
    """The job has completed with one readable WAV, and nothing of it is in anybody's hands."""
    assert job["status"] == "completed", (job, services.logs())
    with wave.open(str(services.data_dir / job["audio_path"])) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(job["duration_s"], abs=0.01)
        assert job["duration_s"] > 0.5
    assert [name for name in services.files() if name.startswith("output/")] == [job["audio_path"]]


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
def test_a_killed_worker_costs_ten_seconds_at_most(services, own_redis, stage):
    """Another worker of the stage takes its task over, and there is one completed event and one WAV."""
    second = f"{stage}-2"
    services.start("api", "stt", "llm", "tts")
    services.wait_until_ready()
    services.delay(stage, 30)
    job_id = services.upload()
    services.until_working(job_id, stage)
    services.delay(stage, 0)
    services.start(second)
    services.wait_until_ready(**{stage: 2})

    services.kill(stage)
    killed = time.monotonic()
    job = services.ended(job_id)
    assert time.monotonic() - killed < 10
    assert_whole(services, job)
    assert job["attempts"][stage] >= 2
    assert events(own_redis, job_id).count("completed") == 1


def test_a_killed_redis_costs_no_job(services, own_redis):
    """Jobs in work, waiting and done are there when it comes back; workers and API come back by themselves."""
    services.start()
    services.wait_until_ready()
    done = services.upload()
    assert_whole(services, services.ended(done))
    services.delay("stt", 1)
    jobs = [services.upload() for _ in range(3)]
    services.until_working(jobs[0], "stt")

    own_redis.kill()
    answer = services.client.get(f"/status/{done}")
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
    assert services.client.get("/readyz").status_code == 503
    time.sleep(2)
    own_redis.start()

    services.wait_until_ready()
    for job_id in jobs:
        job = services.ended(job_id)
        assert job["status"] == "completed", (job, services.logs())
        assert events(own_redis, job_id).count("completed") == 1
    assert services.status(done)["status"] == "completed"
    assert len([name for name in services.files() if name.startswith("output/")]) == 4


def test_a_killed_api_forgets_nothing(services):
    """A job goes on without it, and the next one knows it."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 1)
    job_id = services.upload()
    services.kill("api")
    services.start("api")
    services.wait_until_ready()
    assert_whole(services, services.ended(job_id))


def test_a_stopped_worker_hands_over_without_a_wait(services):
    """SIGTERM in the middle of a task: it is finished, or at once somebody else's."""
    services.start("api", "stt", "stt-2", "llm", "tts")
    services.wait_until_ready(stt=2)
    services.delay("stt", 1.5)
    jobs = [services.upload() for _ in range(2)]
    for job_id in jobs:
        services.until_working(job_id, "stt")
    worker = services.processes.pop("stt")
    worker.terminate()
    for job_id in jobs:
        job = services.ended(job_id)
        assert (job["status"], job["attempts"]["stt"]) == ("completed", 1)
    assert worker.wait(20) == 0


def test_two_workers_serve_two_jobs_at_once(services):
    """Adding a worker adds its speed."""
    services.start("api", "stt", "stt-2", "llm", "tts")
    services.wait_until_ready(stt=2)
    services.delay("stt", 2)
    jobs = [services.upload() for _ in range(2)]
    waits = [services.ended(job_id)["timings"]["stages"]["stt"]["waited_s"] for job_id in jobs]
    assert max(waits) < 1.5


def test_a_killed_tts_worker_costs_the_segment_in_hand(services):
    """Of a long answer, what was spoken before stays spoken: one segment is done twice, the others once."""
    services.start("api", "stt", "llm", "tts")
    services.wait_until_ready()
    services.delay("tts", 0.5)
    job_id = services.upload(system_prompt="twelve sentences")
    services.until_working(job_id, "tts")
    time.sleep(2)
    spoken = [name for name in services.files() if name.startswith("work/")]
    assert len(spoken) >= 2
    services.start("tts-2")
    services.wait_until_ready(tts=2)
    services.kill("tts")
    services.delay("tts", 0)
    job = services.ended(job_id)
    assert_whole(services, job)
    segments = len({name.rpartition("/")[2].partition("-")[0] for name in services.files() if name.startswith("work/")})
    assert segments == 12
    assert job["attempts"]["tts"] == segments + 1 + 1, "each once, one twice, and the join"
    assert set(spoken) <= set(services.files())


def test_a_worker_killed_with_a_batch_in_hand_harms_none_of_it(services, own_redis):
    """Jobs that one claim took together: one is cancelled, then the worker is killed; another ends the rest."""
    services.own_settings = {name: {"STT_ENGINE": "slow-batch"} for name in ("stt", "stt-2")}
    services.start("api", "stt", "llm", "tts")
    services.wait_until_ready()
    services.delay("stt", 2)
    first = services.upload()
    services.until_working(first, "stt")
    services.delay("stt", 30)
    batch = [services.upload() for _ in range(4)]
    for job_id in batch:
        services.until_working(job_id, "stt")
    gone, *others = batch
    assert services.client.delete(f"/jobs/{gone}").is_success
    services.delay("stt", 0)
    services.start("stt-2")
    services.wait_until_ready(stt=2)
    services.kill("stt")
    for job_id in (first, *others):
        job = services.ended(job_id)
        assert job["status"] == "completed", (job, services.logs())
        assert events(own_redis, job_id).count("completed") == 1
        assert job["attempts"]["stt"] == (1 if job_id == first else 2)
    assert len([name for name in services.files() if name.startswith("output/")]) == 4
