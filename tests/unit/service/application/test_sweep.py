from __future__ import annotations

import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import toy_core
from tests.toy_pipeline import NAME
from willis_service.adapters.storage.results import ResultFolders
from willis_service.application.sweep import SweepResults
from willis_service.bootstrap.api import desk_of
from willis_service.domain.job import Edition, ResultKind


@pytest.fixture
def toy(tmp_path):
    return toy_core(tmp_path)


def test_what_counts_stays_and_what_never_counted_goes(toy, tmp_path):
    files = write_ct_series(tmp_path / "ct", shape=(12, 32, 32))
    job = desk_of(toy.core).submit_files(files, NAME)
    toy.run(job.id)
    results = toy.core.results
    (results.root / job.id / "7").mkdir()
    (results.root / ".staged-x-1-dead").mkdir()
    (results.root / "not-ours" / "1").mkdir(parents=True)
    sweep = SweepResults(results, toy.core.jobs, older_than_s=0)

    count = sweep()

    assert count == 2
    assert sorted(path.name for path in results.root.iterdir()) == sorted([job.id, "not-ours"])
    assert results.path(job.id, ResultKind.SEG).is_file()


def test_what_a_run_is_about_to_make_count_stays(toy, tmp_path):
    files = write_ct_series(tmp_path / "ct", shape=(12, 32, 32))
    job = desk_of(toy.core).submit_files(files, NAME)
    run = toy.core.jobs.claim(job.id, toy.clock())
    with toy.core.results.stage(run.edition) as folder:
        toy.core.results.publish(run.edition, folder)

    SweepResults(toy.core.results, toy.core.jobs, older_than_s=0)()

    assert (toy.core.results.root / job.id / run.edition.name).is_dir()


def test_what_is_young_is_left_to_whoever_works_on_it(tmp_path):
    folders = ResultFolders(tmp_path, lambda _job: None)
    with folders.stage(Edition("j", "1")):
        assert folders.sweep_stages(3600) == 0
        assert list(folders.editions(3600)) == []
