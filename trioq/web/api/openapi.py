"""The document of the API (OpenAPI 3.1), made from the tables that it is served by."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from trioq.web.api.jsonschema import schema_of
from trioq.web.api.question import Question
from trioq.web.api.questions import QUESTIONS
from trioq.web.api.shapes import SHAPES
from trioq.web.operations import OPERATIONS, Operation, fields_of
from trioq.web.operations.fields import Field

PREFIX = "/api/v1"

#: What may be answered instead.
REFUSALS = {
    "400": "The body isn't JSON.",
    "401": "Who asks isn't known.",
    "403": "The role isn't enough.",
    "404": "There is no such thing.",
    "409": "The state of things forbids it.",
    "413": "The body is too large.",
    "415": "The body says that it is something else than JSON.",
    "422": "The fields are wrong: all faults at once.",
    "502": "Redis refuses.",
    "503": "Redis can't be reached, or has no time.",
}
OF_A_QUESTION = ("401", "403", "404", "422", "502", "503")


def document(root_path: str = "") -> dict[str, Any]:
    """All of it.

    Args:
      root_path: Where the program is mounted that serves it.
    """
    paths: dict[str, Any] = {}
    for question in QUESTIONS:
        paths[question.path] = {"get": _question(question)}
    for name, row in OPERATIONS.items():
        paths[f"/operations/{name}"] = {"post": _operation(row)}
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "trioq",
            "version": version("trioq"),
            "description": "What trioq's command line tells and does, for programs.",
        },
        "servers": [{"url": f"{root_path}{PREFIX}"}],
        "paths": paths,
        "components": {"schemas": dict(SHAPES), "securitySchemes": {"token": bearer}},
        "security": [{"token": []}],
    }


def _question(question: Question) -> dict[str, Any]:
    fields = fields_of(question.takes)
    in_path = {name for name in fields if f"{{{name}}}" in question.path}
    return {
        "operationId": f"get{question.path.replace('/', '_').translate(_NO_BRACES)}",
        "summary": question.does,
        "parameters": [_parameter(field, field.name in in_path) for field in fields.values()],
        "responses": _answers(_shape(question.shape), OF_A_QUESTION),
    }


_NO_BRACES = str.maketrans("", "", "{}")


def _operation(row: Operation) -> dict[str, Any]:
    fields = fields_of(row.takes).values()
    body: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _described(field) for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }
    return {
        "operationId": row.name.replace(".", "_"),
        "summary": row.does,
        "description": f"Takes the role `{row.role.name}`.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": _answers(_shape("Done"), tuple(REFUSALS)),
    }


def _parameter(field: Field, is_in_path: bool) -> dict[str, Any]:
    return {
        "name": field.name,
        "in": "path" if is_in_path else "query",
        "required": field.required,
        "description": field.says,
        "schema": {"type": "string", "minLength": 1}
        if is_in_path
        else schema_of(field, of_form=True),
    }


def _described(field: Field) -> dict[str, Any]:
    return {"description": field.says} | schema_of(field)


def _shape(name: str) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{name.removesuffix('[]')}"}
    return {"type": "array", "items": one} if name.endswith("[]") else one


def _answers(schema: Mapping[str, Any], refusals: tuple[str, ...]) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": _shape("Problem")}}
    told: dict[str, Any] = {
        "200": {"description": "It is so.", "content": {"application/json": {"schema": schema}}}
    }
    return told | {
        status: {"description": REFUSALS[status], "content": problem} for status in refusals
    }
