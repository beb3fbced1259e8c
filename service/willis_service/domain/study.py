"""When a study counts as complete, and what identifies the input of an analysis."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from willis_service.domain.instance import StoredInstance


@dataclass(frozen=True)
class OpenStudy:
    """A study that has received instances which were not routed yet."""

    study_instance_uid: str
    open_since: datetime
    last_instance_at: datetime


@dataclass(frozen=True)
class Quietness:
    """The rule of completeness: nothing new for ``quiet``, or open for ``longest``."""

    quiet: timedelta
    longest: timedelta

    def is_complete(self, study: OpenStudy, now: datetime) -> bool:
        """Whether the study can be routed now. It does not matter who sent it in how many parts."""
        fell_quiet = now - study.last_instance_at >= self.quiet
        return fell_quiet or now - study.open_since >= self.longest


def fingerprint(study_instance_uid: str, instances: Iterable[StoredInstance]) -> str:
    """What identifies an input, whatever the order or the number of times it was sent.

    The digest goes over the study and the sorted (SOP Instance UID, content digest) pairs.
    """
    digest = hashlib.sha256(study_instance_uid.encode())
    for pair in sorted((i.sop_instance_uid, i.sha256) for i in instances):
        digest.update("\0".join(("", *pair)).encode())
    return digest.hexdigest()
