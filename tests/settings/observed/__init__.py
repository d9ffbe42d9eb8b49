"""What each key of a configuration changes: one row for each, collected in ``ROWS``."""

from tests.settings.observed import (
    of_breakers,
    of_commands,
    of_engines,
    of_files,
    of_jobs,
    of_limits,
    of_processes,
    of_runners,
    of_schedules,
    of_servers,
    of_telling,
    of_web,
)
from tests.settings.observed.place import ROWS, Place, Row

__all__ = [
    "ROWS",
    "Place",
    "Row",
    "of_breakers",
    "of_commands",
    "of_engines",
    "of_files",
    "of_jobs",
    "of_limits",
    "of_processes",
    "of_runners",
    "of_schedules",
    "of_servers",
    "of_telling",
    "of_web",
]
