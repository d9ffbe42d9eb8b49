"""An operator who asks the API of a page, where Redis can't be reached.

http      requests, and what goes wrong with them
reading   what is told in JSON, as what one would see beside Redis
admin     the operator
schedules  what there is of schedules
"""

from trioq.client.remote.admin import Remote
from trioq.client.remote.http import ApiError, Http, NeedsRedis

__all__ = ["ApiError", "Http", "NeedsRedis", "Remote"]
