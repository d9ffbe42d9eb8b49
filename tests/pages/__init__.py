"""Each code block of README and of ``docs/`` is run, or it is told why not.

:mod:`.blocks` reads them and says how each is tried, :mod:`.scenes` has what a page takes for
granted and what isn't run, :mod:`.run` is a process that goes through one page from top to bottom.
"""
