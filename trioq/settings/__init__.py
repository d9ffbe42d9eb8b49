"""Reads, writes and describes configurations.

The keys and what they may hold are declared in :mod:`trioq.core.config`; nothing here
knows any of them but the Redis URL, which may hold a password.
"""

from trioq.settings.advice import warnings
from trioq.settings.describe import reference, schema
from trioq.settings.read import from_url, load, parse
from trioq.settings.write import as_toml

__all__ = ["as_toml", "from_url", "load", "parse", "reference", "schema", "warnings"]
