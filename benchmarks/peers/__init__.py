"""trioq beside other job queues, on one machine, in one run: ``make bench-peers``.

:mod:`~benchmarks.peers.catalogue` lists them; how each enqueues and runs jobs is a file of
``inside/``, which runs in an environment of its own that :mod:`~benchmarks.peers.environments`
makes. :mod:`~benchmarks.peers.measure` takes one figure of one peer,
:mod:`~benchmarks.peers.command` goes round.
"""
