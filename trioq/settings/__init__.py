"""Reads, writes and describes configurations.

The keys and what they may hold are declared in :mod:`trioq.core.config`; nothing here
knows any of them but the Redis URL, which may hold a password.
"""

from trioq.settings.advice import warnings
from trioq.settings.describe import reference, schema
from trioq.settings.find import find
from trioq.settings.read import from_trees, from_url, load, parse, tree_of_file
from trioq.settings.write import as_toml

__all__ = [
    "as_toml",
    "find",
    "from_trees",
    "from_url",
    "load",
    "parse",
    "reference",
    "schema",
    "tree_of_file",
    "warnings",
]
