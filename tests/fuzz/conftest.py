"""Hypothesis profiles: a few hundred examples, the same in every run, or many with HYPOTHESIS_PROFILE=long."""

import os

from hypothesis import HealthCheck, settings

# A failing example becomes a named test, and is not kept in a database beside the code.
_COMMON = {"database": None, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("short", derandomize=True, max_examples=200, **_COMMON)
settings.register_profile("long", max_examples=10_000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
