"""The fault campaign: the real stack, a seeded schedule of faults, and a check that no accepted job is lost."""
