"""The document is tried by schemathesis: whatever fits it, or doesn't, is answered as it says."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.generation import GenerationMode

from tests.scene import Scene
from tests.support import new_job
from tests.web.api.conftest import Api, served
from trioq.web.api.openapi import PREFIX, document
from trioq.web.desk import Desk

#: It watches engines; and its answer is always the same.
LEFT_OUT = ("/doctor",)

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def _wrong_ones(told: dict[str, Any]) -> bool:
    """Whether there is anything that the document doesn't allow."""
    query = any(each["in"] == "query" for each in told.get("parameters", ()))
    return query or "requestBody" in told


OPERATIONS = [
    (mode, method, path)
    for path, methods in document()["paths"].items()
    for method, told in methods.items()
    for mode in MODES
    if path not in LEFT_OUT and (mode is GenerationMode.POSITIVE or _wrong_ones(told))
]


@pytest.fixture
def api(desk: Desk, scene: Scene) -> Api:
    """With something to be found."""
    scene.dead(new_job(id="0"))
    scene.enqueue(new_job("low", id="1"))
    desk.client.schedules.put("0", "noop", queue="low", every=3600)
    return Api(served(desk))


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def tried(api: Api, method: str, path: str, count: int, mode: GenerationMode) -> None:
    """Requests that are made from the document are answered as it says."""
    spec = document()
    del spec["security"]  # who asks is settled before a request comes here
    operation = schemathesis.openapi.from_dict(spec)[path][method.upper()]

    @settings(
        max_examples=count, derandomize=True, deadline=None, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def test(case: Any) -> None:
        said = case.as_transport_kwargs(base_url=f"http://trioq{PREFIX}")
        request = requests.Request(**said).prepare()
        assert request.url is not None
        response = api.request(
            method.upper(), request.url, content=request.body, headers=dict(request.headers)
        )
        case.validate_response(response, checks=CHECKS)

    test()


@pytest.mark.parametrize(("mode", "method", "path"), OPERATIONS)
def test_what_the_document_allows_or_doesnt_is_answered_as_it_says(
    api: Api, method: str, path: str, mode: GenerationMode
) -> None:
    tried(api, method, path, 8, mode)


@pytest.mark.long
@pytest.mark.parametrize(("mode", "method", "path"), OPERATIONS)
def test_the_same_for_long(api: Api, method: str, path: str, mode: GenerationMode) -> None:
    tried(api, method, path, 500, mode)
