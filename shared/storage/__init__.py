"""Files of jobs, addressed by job id: the protocol `storage.Storage`, and `local` behind it."""
