"""The queue's invariants under random sequences of its verbs, with workers that die and calls that repeat."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from queue_spec.machine import QueueMachine
from shared.queue import queue as queue_module
from support.redis_server import RedisServer

pytestmark = pytest.mark.redis

#: The fewest rules that a run must apply, so that a machine that gets stuck fails the test.
MIN_RULES = 2_000


@pytest.mark.timeout(500)  # only a failing run takes so long, since Hypothesis shrinks it
def test_invariants_hold_under_random_verbs(shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The invariants hold after each of thousands of rules in random order."""
    monkeypatch.setattr(queue_module, "BLOCK_S", 0.01)
    QueueMachine.url = shared_redis.url
    QueueMachine.rules_applied = 0
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
    print(f"{QueueMachine.rules_applied} rules")
    assert QueueMachine.rules_applied >= MIN_RULES
