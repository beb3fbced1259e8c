from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from willis_service.adapters.telemetry.logs import configure_logs


@pytest.fixture
def logged(capsys) -> Iterator[Callable[[], str]]:
    """What was logged so far; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_an_event_is_one_line_of_json_with_its_keys(logged):
    configure_logs("INFO", "json")

    structlog.get_logger("willis").info("job_finished", job="j1", seconds=2.5)

    event = json.loads(logged())
    assert (event["event"], event["job"], event["level"]) == ("job_finished", "j1", "info")


@pytest.mark.parametrize("key", ["patient_name", "PatientID", "accession_number"])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_patient_identifier_never_reaches_the_log(logged, key, log_format):
    configure_logs("DEBUG", log_format)

    structlog.get_logger("willis").info("received", **{key: "Doe^John"})

    text = logged()
    assert "received" in text
    assert "Doe" not in text


def test_libraries_that_print_data_elements_stay_quiet(logged):
    configure_logs("DEBUG", "json")

    logging.getLogger("pydicom").warning("Invalid value for VR PN: Doe^John")
    logging.getLogger("pynetdicom.acse").info("(0010,0010) Doe^John")

    assert logged() == ""


def test_a_trace_in_the_log_shows_no_local_values(logged):
    configure_logs("INFO", "console")

    def failing() -> None:
        name = "Doe^John"
        raise RuntimeError(len(name))

    try:
        failing()
    except RuntimeError:
        structlog.get_logger("willis").exception("bug")

    text = logged()
    assert "Traceback" in text
    assert "= 'Doe^John'" not in text
