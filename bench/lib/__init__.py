"""Building blocks of the measurements."""
