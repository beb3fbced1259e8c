from __future__ import annotations

import yaml

from tests.contract.openapi import CONTRACT, document


def test_openapi_yaml_is_what_the_application_offers():
    assert CONTRACT.read_text(encoding="utf-8") == document(), "run `make openapi` and review"


def test_every_operation_documents_its_errors_as_problem_details():
    paths = yaml.safe_load(document())["paths"]

    for operations in paths.values():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_only_the_probes_are_open():
    paths = yaml.safe_load(document())["paths"]

    unguarded = {
        path
        for path, operations in paths.items()
        if not all("security" in operation for operation in operations.values())
    }

    assert unguarded == {"/healthz", "/readyz"}
