"""The protocol between engines, clients and the server, searched state by state.

``server`` is what the scripts do, ``processes`` what engines and clients do, ``moves`` all
that can happen next, ``search`` a breadth-first walk over all of it, ``variants`` the rules
that somebody might think of instead. What is found comes with the shortest way to it.

    python -m props.protocol            all configurations
    python -m props.protocol NAME       one of them, or one of the variants

Waits for the ends of jobs have a search of their own: ``waits``.
"""
