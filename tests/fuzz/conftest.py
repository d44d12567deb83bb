"""How many examples hypothesis tries: a few hundred, the same in every run, or with HYPOTHESIS_PROFILE=long many."""

import os

from hypothesis import HealthCheck, settings

# An example that fails is written down as a test by name, not in a database beside the code.
_COMMON = {"database": None, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("short", derandomize=True, max_examples=200, **_COMMON)
settings.register_profile("long", max_examples=10_000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
