"""Jobs as every adapter uses them: submit, follow, stream, encode, erase. Imports no web framework."""
