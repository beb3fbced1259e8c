"""Schemathesis makes requests from the contract, good and bad, and checks every answer."""

from __future__ import annotations

import json

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, assume, given, settings

from tests.contract.openapi import CONTRACT
from tests.fake_desk import KEY, KNOWN_STUDY, FakeDesk, an_app
from willis_service.adapters.rest.config import RestConfig

BOUNDARY = "made-by-machine"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


@schemathesis.serializer("multipart/related")
def related(_context, value):
    """Whatever was made up, as the one part of a body."""
    content = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return head + content + f"\r\n--{BOUNDARY}--\r\n".encode()


OPERATIONS = [
    (path, method)
    for path, operations in yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["paths"].items()
    for method in operations
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("machine")
    desk = FakeDesk(folder)
    desk.wait_for(desk.submit_study(KNOWN_STUDY, "aspects").id, 0)
    app = an_app(desk, RestConfig((KEY,), folder / "uploads", sync_limit_s=0.01))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def holds_json_options(body):
    """OpenAPI can't say of a form's text that it is JSON; text that is none is tested elsewhere."""
    text = body.get("options", "{}") if isinstance(body, dict) else "{}"
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_that_the_contract_names(schema, path, method):
    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def check(case):
        assume(case.media_type == "application/json" or holds_json_options(case.body))
        headers = {"X-API-Key": KEY}
        if case.media_type == "multipart/related":
            headers["Content-Type"] = RELATED
        case.call_and_validate(headers=headers)

    check()
