"""A bounded round of chaos; the long run is ``make chaos``.

Each seed is fixed here, so a failure is repeated by ``python -m tests.chaos --only NAME --seed 1``.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator

import pytest

from tests.chaos import evidence
from tests.chaos.faults import flush_redis, kill, pause
from tests.chaos.invariants import Witness
from tests.chaos.rigs import plain_rig
from tests.chaos.scenarios import (
    SHARED,
    Scenario,
    spoiled_associations,
    survives,
    witness_of,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("echoscu") is None, reason="dcmtk is not installed (apt-get install dcmtk)"
    ),
]
SEED = "1"


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """One service for every fault that it gets over by itself."""
    with plain_rig(tmp_path_factory.mktemp("chaos")) as rig:
        yield witness_of(rig, SEED)


def play(scenario: Scenario, witness: Witness, name: str, may_come_twice: int = 0) -> None:
    witness.begin()
    witness.may_come_twice = may_come_twice
    scenario(witness, random.Random(f"{SEED}-{name}"))


def test_each_process_is_killed_while_studies_stream_and_nothing_is_lost_or_doubled(witness):
    victims = [kill(role) for role in ("keeper", "courier", "api", "receiver", "worker")]

    play(survives(*victims), witness, "killed", may_come_twice=1)


def test_redis_is_killed_flushed_and_paused_while_studies_stream_and_all_end_once(witness):
    play(survives(kill("redis"), flush_redis, pause("redis", 3.0)), witness, "redis")


def test_a_receiver_and_a_worker_that_stood_still_do_no_harm_when_they_go_on(witness):
    play(survives(pause("worker", 5.0), pause("receiver", 2.0)), witness, "paused")


def test_a_database_locked_for_longer_than_writers_wait_loses_nothing(witness):
    play(SHARED["database-locked"], witness, "locked")


def test_hundreds_of_spoiled_associations_leak_nothing_and_disturb_nobody(witness):
    play(spoiled_associations(300), witness, "spoiled")


def test_damaged_objects_are_refused_or_end_with_a_code_and_nothing_hangs(witness):
    play(SHARED["objects-fuzzed"], witness, "fuzzed")


def test_a_study_that_kills_its_worker_is_given_up_with_a_code_and_the_others_are_served(witness):
    play(SHARED["study-poisoned"], witness, "poisoned")


def test_each_result_reaches_an_archive_once_that_was_down_full_aborting_and_rejecting(witness):
    play(SHARED["archive-misbehaves"], witness, "archive")


def test_a_clock_that_jumps_hours_ahead_and_back_harms_no_study(witness):
    play(SHARED["clock-jumps"], witness, "clock")


def test_a_killed_supervisor_takes_its_children_along_and_a_new_one_takes_up_the_work(witness):
    play(SHARED["supervisor-killed"], witness, "supervisor")


def test_the_witness_notices_one_changed_byte_of_an_acknowledged_image(witness):
    witness.begin()
    (study,) = witness.batch(1)
    witness.modality().push(study.instances)
    witness.settle()
    witness.check_stored()
    (path,) = evidence.stored(witness.rig)[study.instances[0].sop_instance_uid]
    content = path.read_bytes()

    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    with pytest.raises(AssertionError, match="Lost"):
        witness.check_stored()
    path.write_bytes(content)
