"""The systems that are measured, one module each.

`python -m bench.contenders.<name> <stage> <url>` runs the worker of one stage, which does nothing but pass jobs on.
`Client` submits jobs and detects that one has ended.
"""
