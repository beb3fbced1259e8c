"""The clockwork beside the receiver: route studies whose images are all there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from willis_models.errors import WillisError
from willis_service.application.ports import Choice, Clock, StudyIndex, StudyOutcomes, StudyWatch
from willis_service.application.routing import Routing, images_of
from willis_service.domain.completeness import Basis, Lack, Waiting
from willis_service.domain.instance import StoredInstance
from willis_service.domain.job import INTERNAL_ERROR, JobOrder
from willis_service.domain.study import (
    Decision,
    OpenStudy,
    OutcomeCode,
    StudyOutcome,
    fingerprint,
    outcome_of,
)

_LOG = structlog.get_logger(__name__)
_RETRY_S = 30.0


@dataclass(frozen=True)
class _Survey:
    """The images of a study at one moment, and what each pipeline would take of them."""

    instances: Sequence[StoredInstance]
    choices: Mapping[str, Choice]
    images_fingerprint: str

    @property
    def asked_for(self) -> Mapping[str, Choice]:
        """The choices that a rule asks for."""
        return {name: one for name, one in self.choices.items() if one.is_asked_for}


@dataclass
class _Watched:
    """What the clockwork remembers of an open study between its rounds."""

    study: OpenStudy
    opened_s: float
    changed_s: float
    settled: frozenset[tuple[str, int]] = frozenset()
    survey: _Survey | None = None
    surveyed: OpenStudy | None = None
    ordered: set[str] = field(default_factory=set)
    paused_until_s: float = 0.0


@dataclass
class RouteCompleteStudies:
    """Each pipeline that the rules ask for gets one job, as soon as its input is complete.

    An input that is complete by its protocol is ordered when its series settled, even while other
    series of the study still come. Whatever is not complete by protocol is taken as it is after the
    quiet period or the longest wait.
    """

    watch: StudyWatch
    index: StudyIndex
    outcomes: StudyOutcomes
    routing: Routing
    waiting: Waiting
    clock: Clock
    stopwatch: Callable[[], float] = time.monotonic
    _watched: dict[str, _Watched] = field(default_factory=dict, init=False, repr=False)

    def __call__(self) -> int:
        """Route what is complete now; how many studies were closed."""
        studies = self.watch.open_studies()
        known = {study.study_instance_uid for study in studies}
        self._watched = {uid: one for uid, one in self._watched.items() if uid in known}
        return sum(self._attempt(self._note(study)) for study in studies)

    def _note(self, study: OpenStudy) -> _Watched:
        now_s = self.stopwatch()
        watched = self._watched.get(study.study_instance_uid)
        if watched is None or watched.study.open_since != study.open_since:
            # Closed and open again since the last round counts as another study.
            watched = _Watched(study, opened_s=now_s, changed_s=now_s)
            self._watched[study.study_instance_uid] = watched
        if watched.study != study:
            watched.study, watched.changed_s = study, now_s
        return watched

    def _attempt(self, watched: _Watched) -> bool:
        if self.stopwatch() < watched.paused_until_s:
            return False
        try:
            return self._look_at(watched)
        except Exception as error:
            # A study that can't be routed must not keep the others waiting. It stays open, says
            # why, and is tried again.
            watched.paused_until_s = self.stopwatch() + _RETRY_S
            self._record_failure(watched.study, error)
            return False

    def _look_at(self, watched: _Watched) -> bool:
        now = self.clock()
        quiet_for, open_for = self._ages(watched, now)
        is_over = self.waiting.is_over(quiet_for, open_for)
        survey = self._survey(watched, now, is_over)
        if survey is None:
            return False
        if self._holds_nothing_new(watched.study, survey):
            return self._close(watched.study, survey, "NOTHING_NEW")
        ready = self._ready(survey, now, quiet_for, open_for)
        is_whole = bool(ready) and ready.keys() == survey.asked_for.keys()
        is_last = is_over or (is_whole and quiet_for >= self.waiting.settle)
        return self._route(watched, survey, ready, is_last)

    def _ages(self, watched: _Watched, now: datetime) -> tuple[timedelta, timedelta]:
        """For how long nothing came, and for how long the study is open.

        Both by the wall clock and by a monotonic one, whichever is longer: a clock that is put back
        must not keep a study waiting.
        """
        now_s, study = self.stopwatch(), watched.study
        quiet_for = max(now - study.last_instance_at, timedelta(seconds=now_s - watched.changed_s))
        open_for = max(now - study.open_since, timedelta(seconds=now_s - watched.opened_s))
        return quiet_for, open_for

    def _survey(self, watched: _Watched, now: datetime, is_over: bool) -> _Survey | None:
        """What the pipelines would take; looked at again only when a series has settled."""
        if watched.surveyed == watched.study:
            return watched.survey
        uid = watched.study.study_instance_uid
        settled = frozenset(
            (one.series_instance_uid, one.instances)
            for one in self.watch.arrivals(uid)
            if now - one.last_instance_at >= self.waiting.settle
        )
        if not is_over and settled <= watched.settled:
            return None
        watched.survey = self._survey_now(uid)
        watched.settled, watched.surveyed = settled, watched.study
        return watched.survey

    def _survey_now(self, study_instance_uid: str) -> _Survey:
        instances = self.index.instances(study_instance_uid)
        images = images_of(instances)
        pipelines = self.routing.pipelines.values() if images else ()
        choices = {one.name: self.routing.choice(instances, one) for one in pipelines}
        for name, choice in choices.items():
            if choice.is_asked_for and isinstance(choice.verdict, Lack):
                _LOG.info("study_waits", pipeline=name, lack=choice.verdict.name)
        return _Survey(instances, choices, fingerprint(study_instance_uid, images))

    def _holds_nothing_new(self, study: OpenStudy, survey: _Survey) -> bool:
        """Whether only copies, reports or our own results came since the study was routed."""
        before = self.outcomes.study_outcome(study.study_instance_uid)
        if before is None or before.images_fingerprint != survey.images_fingerprint:
            return False
        # The same images, received anew after they were purged, are looked at anew.
        return all(one.received_at <= before.decided_at for one in images_of(survey.instances))

    def _ready(
        self, survey: _Survey, now: datetime, quiet_for: timedelta, open_for: timedelta
    ) -> Mapping[str, Basis]:
        """The pipelines whose input is complete now, and why."""
        received = {self.routing.archive.path_of(i.path): i.received_at for i in survey.instances}
        ready: dict[str, Basis] = {}
        for name, choice in survey.asked_for.items():
            last = max((received[path] for path in choice.watched), default=now)
            settled_for = max(now - last, quiet_for)
            basis = self.waiting.basis(settled_for, quiet_for, open_for, choice.verdict)
            if basis is not None:
                ready[name] = basis
        return ready

    def _route(
        self, watched: _Watched, survey: _Survey, ready: Mapping[str, Basis], is_last: bool
    ) -> bool:
        uid = watched.study.study_instance_uid
        orders = {
            name: self.routing.order(uid, survey.instances, name, survey.choices[name])
            for name in ready
        }
        outcome = self._outcome(uid, survey, ready, orders)
        fresh = [order for order in orders.values() if order.job_id not in watched.ordered]
        if fresh:
            # Recorded first, so that a worker finds it however quick it is.
            self.outcomes.record(outcome)
        for order in fresh:
            self.routing.place(order)
            watched.ordered.add(order.job_id)
            basis = ready[order.pipeline].name
            _LOG.info("input_complete", pipeline=order.pipeline, job_id=order.job_id, basis=basis)
        if not is_last:
            return False
        # Final only now: after a crash on the way the study is routed again, and each job exists
        # once all the same.
        self.outcomes.record(replace(outcome, images_fingerprint=survey.images_fingerprint))
        return self._close(watched.study, survey, outcome.code)

    def _outcome(
        self,
        study_instance_uid: str,
        survey: _Survey,
        ready: Mapping[str, Basis],
        orders: Mapping[str, JobOrder],
    ) -> StudyOutcome:
        decisions = tuple(
            Decision(
                pipeline=name,
                job_id=orders[name].job_id if name in orders else None,
                basis=ready.get(name),
                rules=choice.rules,
                reasons=choice.reasons,
            )
            for name, choice in survey.choices.items()
        )
        return outcome_of(study_instance_uid, decisions, self.clock())

    def _close(self, study: OpenStudy, survey: _Survey, code: str) -> bool:
        if not self.watch.close(study, self.clock()):
            return False
        self.routing.forget(survey.instances)
        _LOG.info("study_closed", instances=len(survey.instances), code=str(code))
        return True

    def _record_failure(self, study: OpenStudy, error: Exception) -> None:
        is_known = isinstance(error, WillisError)
        code = error.code if isinstance(error, WillisError) else INTERNAL_ERROR
        _LOG.error("routing_failed", code=code, error=type(error).__name__)
        # The message of a bug may quote a header.
        said = f"{error} " if is_known else ""
        self.outcomes.record(
            StudyOutcome(
                study_instance_uid=study.study_instance_uid,
                code=OutcomeCode.ROUTING_FAILED,
                reason=f"{code}: {said}It is tried again.",
                images_fingerprint="",
                decided_at=self.clock(),
            )
        )
