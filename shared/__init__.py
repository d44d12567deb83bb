"""The code that every service imports: jobs, queue, worker runtime, storage, settings, errors, logs."""
