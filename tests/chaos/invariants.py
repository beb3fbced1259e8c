"""What must hold after every fault. Each check returns what is wrong, in words."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos import evidence
from tests.chaos.evidence import JobRow, Vital
from tests.chaos.modality import Ledger, Modality
from tests.chaos.rig import ROLES, Rig
from tests.chaos.sink import twice, wait_for
from tests.chaos.studies import Studies, Study
from tests.chaos.waiting import until

MORE_THREADS, MORE_DESCRIPTORS = 6, 20
"""What a pool may hold more than when it was last looked at; a leak of one a fault is far more."""
_SETTLE_S, _CALM_S = 300.0, 60.0


@dataclass
class Witness:
    """Sends studies to a rig, remembers what was promised, and checks that it was kept."""

    rig: Rig
    studies: Studies
    ledger: Ledger = field(default_factory=Ledger)
    sent: list[Study] = field(default_factory=list)
    may_come_twice: int = 0
    """Objects that an archive may get again: a sender that died had no time to book the answer."""
    _before: Mapping[str, Vital] = field(default_factory=dict)

    def begin(self) -> None:
        """Forget what earlier scenarios sent; what the service holds at rest stays known."""
        self.ledger, self.sent, self.may_come_twice = Ledger(), [], 0

    def modality(self, title: str = "SCANNER", pause_s: float = 0.0) -> Modality:
        """A sender whose acknowledgements are booked here."""
        return Modality(self.rig.port, self.ledger, title, pause_s)

    def batch(self, count: int) -> list[Study]:
        """Studies that are to end in a result each."""
        made = [self.studies.make() for _ in range(count)]
        self.sent += made
        return made

    def warm_up(self) -> None:
        """One study all the way, and the pools filled, before anything is counted."""
        self.modality().push(self.batch(1)[0].instances)
        self.settle()
        for _ in range(8):
            self.rig.get("/jobs")
        self._before = evidence.vitals(self.rig)

    def settle(self, limit_s: float = _SETTLE_S) -> None:
        """Wait until each study that was sent has its live result, and nothing is under way."""

        def missing() -> list[str]:
            rows = evidence.jobs(self.rig)
            live = {row.study_instance_uid for row in rows if row.is_live}
            waiting = {row.study_instance_uid for row in rows if not row.is_final}
            waiting |= set(evidence.open_studies(self.rig))
            mine = [study.study_instance_uid for study in self.sent]
            return [uid for uid in mine if uid not in live or uid in waiting]

        def text() -> str:
            return f"{len(missing())} studies have no result.\n{self._jobs()}\n{self.rig.tail()}"

        until(lambda: not missing(), limit_s, text, every_s=0.2)

    def check(self, rest_sample: int = 1000) -> None:
        """All invariants. Raises AssertionError with everything that is wrong.

        Results are looked at on disk, and as many of them over REST as ``rest_sample`` says.
        """
        self.settle()
        problems = [
            *self._lost(),
            *self._contradictions(rest_sample),
            *self._undelivered(),
            *self._unserved(),
            *self._leaks(),
        ]
        assert not problems, "\n".join([*problems, self._jobs(), self.rig.tail()])

    def check_stored(self) -> None:
        """Only that nothing acknowledged is lost."""
        problems = list(self._lost())
        assert not problems, "\n".join(problems)

    def check_alive(self) -> None:
        """The service answers: C-ECHO, readiness, and a new study all the way to its result."""
        self.rig.wait_ready()
        self.modality().push(self.batch(1)[0].instances)
        self.settle()

    def _lost(self) -> Iterator[str]:
        """Acknowledged instances whose bytes are not on disk, or differ."""
        files = evidence.stored(self.rig)
        for uid, sha256 in list(self.ledger.acknowledged):
            if uid not in files:
                yield f"Lost: {uid} was acknowledged and is unknown."
            elif sha256 not in evidence.digests(files[uid]):
                yield f"Lost: {uid} was acknowledged, and its bytes are not on disk."

    def _contradictions(self, rest_sample: int) -> Iterator[str]:
        """Input fingerprints and studies without exactly one live result."""
        rows = evidence.jobs(self.rig)
        same = Counter((row.pipeline, row.input_fingerprint) for row in rows)
        yield from (f"{n} jobs for one input: {key}" for key, n in same.items() if n > 1)
        live: dict[str, list[JobRow]] = defaultdict(list)
        for row in rows:
            if row.is_live:
                live[row.study_instance_uid].append(row)
        for number, study in enumerate(self.sent):
            found = live[study.study_instance_uid]
            if len(found) != 1:
                yield f"{len(found)} live results: {[(row.id, row.state) for row in found]}"
            for row in found:
                yield from self._missing_files(row)
            if number < rest_sample:
                yield from (problem for row in found for problem in self._unanswered(row))

    def _missing_files(self, row: JobRow) -> Iterator[str]:
        """Results that are promised and do not lie there exactly once."""
        if row.state != "succeeded":
            yield f"Job {row.id} ended {row.state} ({row.error_code})."
        for kind in row.results:
            if len(paths := evidence.results_of(self.rig, row.id, kind)) != 1:
                yield f"Job {row.id} has {len(paths)} files {kind}: {paths}"

    def _unanswered(self, row: JobRow) -> Iterator[str]:
        """Results that REST does not give."""
        answer = self.rig.get(f"/jobs/{row.id}")
        if not answer.is_success:
            yield f"REST does not show job {row.id}: {answer.status_code} {answer.text}"
            return
        links = answer.json()["links"]
        for link in ("seg", "sr", "findings"):
            if link not in links or not self.rig.get(links[link]).is_success:
                yield f"REST gives no {link} of job {row.id}: {links}"

    def _undelivered(self) -> Iterator[str]:
        """Live results that the archive did not get, or got twice though it had confirmed them."""
        if (sink := self.rig.sink) is None:
            return
        mine = {study.study_instance_uid for study in self.sent}
        rows = [row for row in evidence.jobs(self.rig) if row.study_instance_uid in mine]
        objects = evidence.result_objects(self.rig, rows)
        try:
            wait_for(sink, objects, _SETTLE_S)
        except AssertionError as error:
            yield f"Not delivered: {error}"
        repeated = [uid for uid in twice(sink) if uid in objects]
        if len(repeated) > self.may_come_twice:
            yield f"{len(repeated)} objects came twice: {repeated}"

    def _unserved(self) -> Iterator[str]:
        try:
            self.check_alive()
        except (AssertionError, TimeoutError) as error:
            yield f"The service does not answer: {error}"

    def _leaks(self) -> list[str]:
        """Threads and descriptors beyond what was held before; pools get a while to shrink."""
        end = time.monotonic() + _CALM_S
        while (problems := list(self._held())) and time.monotonic() < end:
            time.sleep(0.5)
        return problems

    def _held(self) -> Iterator[str]:
        now = evidence.vitals(self.rig)
        for name in [*ROLES, "supervisor"]:
            before, after = self._before.get(name), now.get(name)
            if before is None:
                continue
            if after is None:
                yield f"The {name} does not run."
            elif after.threads > before.threads + MORE_THREADS:
                yield f"{name}: {before.threads} threads became {after.threads}."
            elif after.descriptors > before.descriptors + MORE_DESCRIPTORS:
                yield f"{name}: {before.descriptors} descriptors became {after.descriptors}."

    def _jobs(self) -> str:
        rows = evidence.jobs(self.rig)
        return "\n".join(f"{r.id} {r.state} {r.error_code} attempts {r.attempts}" for r in rows)
