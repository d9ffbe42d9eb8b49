"""All that an engine runs: importing a module registers its handlers and schedules."""

from shop import images, mail, payments, report
from shop.app import app

__all__ = ["app", "images", "mail", "payments", "report"]
