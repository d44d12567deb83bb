"""What the pipeline itself costs, beside others on the same machine in the same minute."""
