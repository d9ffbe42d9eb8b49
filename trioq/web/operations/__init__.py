"""Everything that can be done from a page, or by the API: one table.

A row says the name, the role that it takes, what it is told, and how it is done. The API's paths
and its document, the forms' handler, and the test that walks all roles are made from it.
"""

from trioq.web.operations.operation import Operation
from trioq.web.operations.queues import PAUSE_QUEUE

#: Name → operation.
OPERATIONS: dict[str, Operation] = {each.name: each for each in [PAUSE_QUEUE]}

__all__ = ["OPERATIONS", "Operation"]
