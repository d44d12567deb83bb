"""Files of jobs, addressed by job id."""
