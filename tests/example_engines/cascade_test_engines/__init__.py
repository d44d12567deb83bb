"""Engines of a third party: found by name like our own, and as slow as DELAY_FILE says."""
