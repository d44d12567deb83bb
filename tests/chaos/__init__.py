"""The fault campaign: the real stack, a seeded schedule of faults, and a checker of the promise: nothing is lost."""
