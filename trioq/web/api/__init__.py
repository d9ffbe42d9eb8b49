"""The same in JSON, for programs: ``/api/v1``. What can be asked and done stands in two tables.

questions   what can be asked: one module for each part
shapes      what is answered, as JSON Schema
reading     what a request says, strictly
endpoints   the routes, made from the tables
openapi     the document, likewise
page        the page of docs/
"""

from trioq.web.api.endpoints import PREFIX, refusal, routes

__all__ = ["PREFIX", "refusal", "routes"]
