"""The campaign in short: every kind of fault once, and every promise."""

import asyncio
import io

import pytest
from rich.console import Console

from chaos.campaign import Plan, run
from chaos.report import print_report
from chaos.schedule import KINDS

pytestmark = pytest.mark.redis


@pytest.mark.timeout(300)
def test_every_accepted_job_ends_once_whatever_is_killed(tmp_path):
    """Workers, API, Redis, disk and models fail in every way that we know, and no promise is broken."""
    told = io.StringIO()
    result = asyncio.run(
        run(Plan(jobs=60, faults=25, seed=2, gap_s=1.7), tmp_path, lambda line: print(line, file=told))
    )
    print_report(result, Console(file=told, width=150))
    assert result.findings == [], told.getvalue()
    assert {done.fault.kind for done in result.injected} | result.skipped.keys() == KINDS.keys()
    assert len(result.seen.orders) > 25
    assert result.engines_killed > 0
