"""Whatever the workers do, in whatever order, the queue's invariant stands."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from queue_spec.machine import QueueMachine
from shared.queue import queue as queue_module
from support.redis_server import RedisServer

pytestmark = pytest.mark.redis

#: Steps that a run takes at least, so that the machine cannot get stuck unnoticed.
LEAST_STEPS = 2_000


@pytest.mark.timeout(500)  # only a failure takes so long, since it is made as short as it can be
def test_the_invariant_stands_whatever_happens(shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of steps, in random orders of which none is left out for being unlikely."""
    monkeypatch.setattr(queue_module, "BLOCK_S", 0.01)
    QueueMachine.url, QueueMachine.steps = shared_redis.url, 0
    examples = int(os.environ.get("QUEUE_MODEL_EXAMPLES", "80"))
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=80,
            derandomize="QUEUE_MODEL_EXAMPLES" not in os.environ,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{QueueMachine.steps} steps")
    assert QueueMachine.steps >= LEAST_STEPS
