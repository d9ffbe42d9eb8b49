"""Who asks, and what they may do.

roles       read, operate, admin; users
guard       who makes a request, by whichever way is configured
passwords, tokens    what is kept of them
sessions    who is logged in
attempts    how often one may try
origin      whether a page of ours makes a request
audit       what the log is told
"""

from trioq.web.who.roles import Role, User

__all__ = ["Role", "User"]
