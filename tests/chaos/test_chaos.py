"""A short campaign: every kind of fault at least once, and every check."""

import asyncio
import io

import pytest
from rich.console import Console

from chaos.campaign import Plan, run_campaign
from chaos.report import print_report
from chaos.schedule import KINDS

pytestmark = pytest.mark.redis


@pytest.mark.timeout(300)
def test_each_accepted_job_ends_once_whatever_fails(tmp_path):
    """A run in which workers, API, Redis, disk and models fail in every known way has no findings."""
    output = io.StringIO()
    plan = Plan(jobs=60, faults=25, seed=2, gap_s=1.7)
    result = asyncio.run(run_campaign(plan, tmp_path, lambda line: print(line, file=output)))
    print_report(result, Console(file=output, width=150))
    assert result.findings == [], output.getvalue()
    assert {injected.fault.kind for injected in result.injected} | result.skipped.keys() == KINDS.keys()
    assert len(result.observed.misbehaviors) > 25
    assert result.engines_killed > 0
