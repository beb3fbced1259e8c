from __future__ import annotations

from collections.abc import Iterator

from fastapi.testclient import TestClient

from tests.fake_desk import KEY, an_app
from willis_models.errors import ServiceError, WillisError
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.rest.problems import STATUS_BY_CODE


def tree(root: type[WillisError] = WillisError) -> Iterator[type[WillisError]]:
    # Only the published tree: private leaves carry the code of a quality item.
    if root.__module__ == "willis_models.errors":
        yield root
    for child in root.__subclasses__():
        yield from tree(child)


def test_every_error_of_the_tree_has_a_status_and_the_table_holds_nothing_else():
    assert {error.code for error in tree()} == set(STATUS_BY_CODE)


def test_what_may_pass_is_a_server_error_and_what_the_caller_sent_is_not():
    for error in tree():
        if issubclass(error, ServiceError):
            assert STATUS_BY_CODE[error.code] >= 500
        if error.retryable:
            assert STATUS_BY_CODE[error.code] in (502, 503, 504, 507)


def test_an_unknown_path_and_a_wrong_method_are_problems_too(client):
    replies = [client.get("/nowhere"), client.delete("/jobs")]

    assert [r.json()["code"] for r in replies] == ["NOT_FOUND", "METHOD_NOT_ALLOWED"]
    assert all(r.headers["content-type"] == "application/problem+json" for r in replies)


def test_a_bug_is_a_problem_with_the_statement_and_without_its_text(desk, config, monkeypatch):
    def broken(_job_id: str) -> None:
        raise ZeroDivisionError("Doe^John")

    monkeypatch.setattr(desk, "job", broken)
    headers = {"X-API-Key": KEY}
    client = TestClient(an_app(desk, config), headers=headers, raise_server_exceptions=False)

    reply = client.get("/jobs/job-1")

    assert (reply.status_code, reply.json()["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert reply.headers["Willis-Intended-Use"] == INTENDED_USE_STATEMENT
    assert "Doe" not in reply.text
