"""One module for each contender.

`python -m bench.contenders.<name> <stage> <url>` runs the worker of one stage, whose work is to do nothing. `Client` is
the other side: it submits jobs and knows when one has ended.
"""
