"""The documentation site: what there is in ``docs/``, and the reference of each public name.

``make site`` builds it in ``build/site/``. :mod:`.contents` and :mod:`.links` read the tree's
pages, :mod:`.reference` draws those of the library, :mod:`.docstrings` says what they lack, and
:mod:`.build` has Sphinx make a site of them.
"""
