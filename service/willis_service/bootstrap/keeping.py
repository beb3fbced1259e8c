"""The clockwork: complete studies are routed, lost jobs put back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from willis_models.errors import DatabaseUnavailable
from willis_service.adapters.storage.workers import KEEPING, SqlWorkers
from willis_service.application.amend import FindAmended
from willis_service.application.complete import RouteCompleteStudies
from willis_service.application.no_result import RaiseAlarms, WriteNotice
from willis_service.application.reconcile import Reconcile
from willis_service.application.sweep import SweepResults
from willis_service.bootstrap.core import Core, clock
from willis_service.bootstrap.ruling import selector_of
from willis_service.bootstrap.working import equipment_of, input_opener, own_name
from willis_service.domain.completeness import Waiting
from willis_service.domain.job import Patience
from willis_service.settings import Settings

_ROUTING_S = 120.0
_LEFTOVERS_KEPT_S = 3600.0
_ABSENT_KEPT_S = 3600.0


def completeness_of(core: Core) -> RouteCompleteStudies:
    """Routes the studies whose images are all there."""
    settings = core.settings
    waiting = Waiting(
        settle=timedelta(seconds=settings.settle_period_s),
        quiet=timedelta(seconds=settings.quiet_period_s),
        longest=timedelta(seconds=settings.longest_wait_s),
    )
    # Here a study is looked at again and again while it arrives, so its headers are kept.
    routing = replace(core.routing, select=selector_of(core.rules, keeps_headers=True))
    studies = core.studies
    return RouteCompleteStudies(studies, studies, core.outcomes, routing, waiting, clock)


def reconciler_of(core: Core) -> Reconcile:
    """Puts back what workers and broker lost."""
    settings = core.settings
    patience = Patience(
        lost_after=timedelta(seconds=settings.worker_lost_after_s),
        deadline=timedelta(seconds=settings.deadline_s),
        attempts=settings.attempts_limit,
    )
    return Reconcile(core.jobs, core.queue, core.dispatch, patience, clock)


def alarms_of(core: Core) -> RaiseAlarms:
    """Sees to it that no study that was accepted ends in silence."""
    settings = core.settings
    write = WriteNotice(
        notices=core.notices,
        archive=core.folder,
        open_input=input_opener(equipment_of(settings)),
        amended=FindAmended(core.jobs, core.results),
        shelf=core.results,
        clock=clock,
    )
    return RaiseAlarms(
        notices=core.notices,
        write=write,
        studies=core.studies,
        outcomes=core.outcomes,
        index=core.studies,
        job_limit=timedelta(seconds=settings.no_result_after_s),
        study_limit=study_limit(settings),
        clock=clock,
    )


def study_limit(settings: Settings) -> timedelta:
    """After how long a study that is not routed raises an alarm.

    It may wait for its images for the longest wait, and is routed within seconds then.
    """
    return timedelta(seconds=max(settings.no_result_after_s, settings.longest_wait_s + _ROUTING_S))


def sweeper_of(core: Core) -> SweepResults:
    """Removes what runs left behind that lost their job."""
    return SweepResults(core.results, core.jobs, older_than_s=_LEFTOVERS_KEPT_S)


@dataclass(frozen=True)
class KeeperPresence:
    """Shows that the keeper gets through its rounds, and strikes off who was not heard of."""

    roll: SqlWorkers
    name: str
    kept: timedelta

    def sign_in(self) -> None:
        """The keeper begins."""
        self.roll.sign_in(self.name, (), clock())

    def sign_out(self) -> None:
        """The keeper ends in good order."""
        with suppress(DatabaseUnavailable):  # then its beats end, and that is seen as well
            self.roll.sign_out(self.name)

    def __call__(self) -> None:
        """One sign of life."""
        self.roll.beat(self.name, (), clock())
        self.roll.forget(clock() - self.kept)


def keeper_presence_of(core: Core) -> KeeperPresence:
    """The keeper's entry in the roll of processes."""
    roll = SqlWorkers(core.database, KEEPING)
    return KeeperPresence(roll, f"keeper-{own_name()}", timedelta(seconds=_ABSENT_KEPT_S))
