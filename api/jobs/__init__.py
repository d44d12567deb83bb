"""Jobs as every adapter uses them: submit, follow, stream, encode, clean up. Speaks no HTTP."""
