"""``make bench``: all that is measured of trioq, in one table against its goals.

A row measures one thing and gives its figures; :mod:`~benchmarks.suite.row` has the list, and
``benchmarks/goals.py`` says what each figure shall be. :mod:`~benchmarks.suite.result` is what a
run found, and how two runs compare.
"""
