"""Who asks, and what they may do.

roles   read, operate, admin; users
"""

from trioq.web.who.roles import Role, User

__all__ = ["Role", "User"]
