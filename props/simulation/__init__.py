"""Whole engines in one trio run, on a virtual clock and a network that a seed makes bad.

``world`` is what there is: a server in memory, engines that are killed and come back, a
client. ``network`` is what lies between them. ``verdict`` looks at the trace of it all and
says what nobody can explain.

    python -m props.simulation SEED     one run, with its trace
"""
