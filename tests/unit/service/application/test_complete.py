from dataclasses import replace

import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, incoming, route, toy_core
from tests.toy_pipeline import write_toy_bundle
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.bootstrap.keeping import completeness_of
from willis_service.domain.job import JobState


@pytest.fixture
def toy(tmp_path):
    return toy_core(tmp_path, quiet_period_s=10, longest_wait_s=60)


@pytest.fixture
def files(tmp_path):
    return write_ct_series(tmp_path / "ct", shape=(12, 16, 16))


def receive(toy: Toy, files) -> None:
    for file in files:
        toy.core.intake.take(uploaded_instance(file))


def tick(toy: Toy) -> int:
    return replace(completeness_of(toy.core), clock=toy.clock)()


def test_a_study_is_routed_once_when_it_fell_quiet(toy, files):
    receive(toy, files)
    toy.clock.advance(9)
    early = tick(toy)
    toy.clock.advance(1)

    assert (early, tick(toy), tick(toy)) == (0, 1, 0)
    assert len(toy.queue.analyses) == 1


def test_sending_the_same_study_again_makes_no_second_job(toy, files):
    for _ in range(2):
        receive(toy, files)
        toy.clock.advance(10)
        tick(toy)

    assert len(toy.core.jobs.recent(9)) == 1


def test_a_late_image_changes_the_input_and_makes_another_job(toy, files):
    for part in (files[:11], files[11:]):
        receive(toy, part)
        toy.clock.advance(10)
        tick(toy)

    assert len({job.input_fingerprint for job in toy.core.jobs.recent(9)}) == 2


def test_a_crash_between_routing_and_closing_routes_again_to_the_same_job(toy, files):
    receive(toy, files)
    toy.clock.advance(10)
    (study,) = toy.core.studies.open_studies()
    route(toy.core, study.study_instance_uid)

    assert tick(toy) == 1
    assert len(toy.core.jobs.recent(9)) == 1


def test_an_instance_that_comes_while_a_study_is_routed_keeps_it_open(toy, files):
    receive(toy, files[:11])
    (seen,) = toy.core.studies.open_studies()
    toy.clock.advance(1)
    receive(toy, files[11:])

    toy.core.studies.close(seen, toy.clock())

    assert len(toy.core.studies.open_studies()) == 1


def test_results_that_a_pacs_sends_back_start_no_new_job(toy, files):
    receive(toy, files)
    toy.clock.advance(10)
    tick(toy)
    study = toy.core.jobs.recent(1)[0].study_instance_uid
    before = toy.core.outcomes.study_outcome(study)
    report = incoming("1.2.3.7", study=study, sop_class="1.2.840.10008.5.1.4.1.1.88.34")
    toy.core.intake.take(report)
    toy.clock.advance(2)

    # Not even a newer model is a reason to look at the study again.
    write_toy_bundle(toy.core.settings.bundle_root, "2.0.0")
    assert tick(toy) == 1
    assert len(toy.core.jobs.recent(9)) == 1
    assert toy.core.outcomes.study_outcome(study) == before


class Broken:
    """A selector with a bug."""

    def __call__(self, _pipeline, _files):
        raise KeyError("bug")

    def forget(self, _files):
        return


def test_a_bug_in_the_selection_of_one_study_ends_in_a_visible_job(toy):
    toy.core.intake.take(incoming())
    routing = replace(toy.core.routing, select=Broken())
    toy.clock.advance(10)

    replace(completeness_of(toy.core), routing=routing, clock=toy.clock)()

    assert [job.state for job in toy.core.jobs.recent(9)] == [JobState.QUEUED]
