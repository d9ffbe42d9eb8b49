"""Everything that can be done from a page, or by the API: one table.

A row says the name, the role that it takes, what it is told, and how it is done. The API's paths
and its document, the forms' handler, and the test that walks all roles are made from it.

operation   a row, and who acts
fields      what it is told: from JSON, or a form, with all faults at once
perform     doing one: role, fields, errors, and a line of it in the log
bulk        many jobs, a part of them in each request
table       all rows; one module for each part of them
"""

from trioq.web.operations.fields import Field, fields_of, structured
from trioq.web.operations.operation import Acting, Operation
from trioq.web.operations.perform import may, perform
from trioq.web.operations.table import OPERATIONS

__all__ = [
    "OPERATIONS",
    "Acting",
    "Field",
    "Operation",
    "fields_of",
    "may",
    "perform",
    "structured",
]
