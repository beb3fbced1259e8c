"""Which series of the archive are kept, and a count of every reason why others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from willis_training.curation.archive.headers import Header
from willis_training.curation.archive.rules import CurationRules
from willis_training.curation.archive.series import Series, series_of

Rank = tuple[Any, ...]
LESS_SUITABLE = "less-suitable"


@dataclass(frozen=True)
class KeptSeries:
    """What later stages need of a series that fits. Private: it holds identifiers."""

    uid: str
    study_uid: str
    patient_id: str
    paths: tuple[str, ...]
    header: Header
    digest: str


@dataclass(frozen=True)
class Selected:
    """The kept series, the reasons of the others, and files that repeat an instance."""

    kept: tuple[KeptSeries, ...]
    reasons: Counter[str]
    copies: int

    @property
    def total(self) -> int:
        """All series, kept or not."""
        return len(self.kept) + sum(self.reasons.values())


def select(series: Iterable[list[tuple[str, Header]]], rules: CurationRules) -> Selected:
    """Judge each series; of those that fit in one study keep all or the best, as the rules say."""
    fitting: dict[str, list[tuple[Rank, KeptSeries]]] = {}
    reasons: Counter[str] = Counter()
    copies = 0
    for files in series:
        one = series_of(files)
        copies += one.copies
        reason = rules.reason_against(one)
        if reason is None:
            fitting.setdefault(one.study_uid, []).append((rules.rank(one), _kept(one)))
        else:
            reasons[reason] += 1
    kept: list[KeptSeries] = []
    for ranked in fitting.values():
        best_first = [one for _, one in sorted(ranked, key=lambda pair: pair[0])]
        wanted = best_first if rules.selection.keep == "all" else best_first[:1]
        kept += wanted
        if len(wanted) < len(best_first):
            reasons[LESS_SUITABLE] += len(best_first) - len(wanted)
    return Selected(tuple(kept), reasons, copies)


def _kept(series: Series) -> KeptSeries:
    return KeptSeries(
        uid=series.uid,
        study_uid=series.study_uid,
        patient_id=series.patient_id,
        paths=series.paths,
        header=series.headers[0],
        digest=series.digest,
    )
