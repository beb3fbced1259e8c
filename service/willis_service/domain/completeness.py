"""Whether the images of a series are all there: judged by place, time and announced numbers.

A quiet timer alone fires early, or late. What a series says of itself is better: slices without a
gap that cover the head, or the same number of time points at every slice. Numbers that the sender
announces (such as ImagesInAcquisition) can hold a series back, and can stand in for the coverage;
they never make a series with a gap complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

_CONTIGUOUS = 1.1
_STATED_STEP = 1.5


class Basis(StrEnum):
    """Why a study was taken as complete."""

    CONTIGUOUS_SLICES = "contiguous slices"
    TIME_POINTS = "time points x slices"
    MULTI_FRAME = "multi-frame object"
    QUIET_PERIOD = "quiet period"
    UPPER_LIMIT = "upper limit"


class Lack(StrEnum):
    """Why a study is not complete by its protocol, and waits for the quiet period."""

    NO_SERIES = "no series fits yet"
    NO_GEOMETRY = "the slices don't make one stack"
    FEW_SLICES = "fewer slices than are needed"
    GAP = "a slice is missing"
    NOT_CONTIGUOUS = "the slices leave tissue between them"
    REPEATED = "several images at one position"
    COVERAGE = "less than a whole head"
    ANNOUNCED = "fewer images than announced"
    UNEVEN_TIME_POINTS = "the positions differ in their time points"
    FEW_TIME_POINTS = "fewer time points than a perfusion scan has"
    BETTER_MAY_FOLLOW = "only a second choice is there"
    OTHER_SERIES = "another series of the same kind is unfinished"
    OTHER_MAPS = "not all maps are there"


Verdict = Basis | Lack

Moment = tuple[str, ...]
"""What tells one time point from another; empty where the header says nothing of time."""


@dataclass(frozen=True)
class Place:
    """One slice position: how far along the normal, and the images taken there."""

    along_mm: float
    thickness_mm: float | None
    images: int
    moments: frozenset[Moment]


@dataclass(frozen=True)
class SeriesShape:
    """A series as far as completeness needs it.

    ``places`` are in order along the normal; ``has_gap`` says that a step between them leaves a
    slice out. ``time_indexes`` are the numbers of the time points where the series numbers them.
    """

    places: tuple[Place, ...]
    has_gap: bool
    images: int
    is_whole_object: bool = False
    stated_step_mm: float | None = None
    announced_images: int | None = None
    announced_time_points: int | None = None
    time_indexes: frozenset[int] = frozenset()

    @property
    def coverage_mm(self) -> float:
        """From the outer face of the first slice to that of the last one."""
        first, last = self.places[0], self.places[-1]
        return last.along_mm - first.along_mm + (first.thickness_mm or 0.0)

    @property
    def steps_mm(self) -> tuple[float, ...]:
        """Distances between neighbouring places."""
        pairs = zip(self.places, self.places[1:], strict=False)
        return tuple(after.along_mm - before.along_mm for before, after in pairs)


@dataclass(frozen=True)
class Protocol:
    """What a complete series of one kind has."""

    minimum_slices: int = 1
    minimum_coverage_mm: float = 0.0
    minimum_time_points: int = 1
    is_contiguous: bool = False

    @property
    def is_dynamic(self) -> bool:
        """Whether several time points are expected."""
        return self.minimum_time_points > 1


HEAD_CT = Protocol(minimum_slices=10, minimum_coverage_mm=120.0, is_contiguous=True)
HEAD_MR = Protocol(minimum_slices=10, minimum_coverage_mm=100.0)
# A bolus passes the brain within 40 s, sampled each 1 to 4 s.
PERFUSION = Protocol(minimum_time_points=10)
# As many slices as the series that it was made of, which may be few.
MAP = Protocol(minimum_slices=2)


def protocol_of(kind: str, modality: str) -> Protocol:
    """The protocol of a role: of a dynamic series, of a map, else of a volume of its modality."""
    if kind == "dynamic":
        return PERFUSION
    if kind == "map":
        return MAP
    return HEAD_CT if modality == "CT" else HEAD_MR


def judge(shape: SeriesShape, protocol: Protocol) -> Verdict:
    """Whether the series is complete by its protocol, and by what; or what it lacks."""
    if shape.is_whole_object:
        return Basis.MULTI_FRAME
    if len(shape.places) < protocol.minimum_slices:
        return Lack.FEW_SLICES
    if shape.has_gap:
        return Lack.GAP
    if is_short_of_announced(shape):
        return Lack.ANNOUNCED
    return _judge_times(shape, protocol) if protocol.is_dynamic else _judge_volume(shape, protocol)


def is_short_of_announced(shape: SeriesShape) -> bool:
    """Whether fewer images are there than the sender announced."""
    return shape.announced_images is not None and shape.images < shape.announced_images


def _judge_volume(shape: SeriesShape, protocol: Protocol) -> Verdict:
    if any(place.images > 1 for place in shape.places):
        return Lack.REPEATED
    if protocol.is_contiguous and not _is_contiguous(shape):
        return Lack.NOT_CONTIGUOUS
    is_all_announced = shape.announced_images is not None
    if shape.coverage_mm < protocol.minimum_coverage_mm and not is_all_announced:
        return Lack.COVERAGE
    return Basis.CONTIGUOUS_SLICES


def _is_contiguous(shape: SeriesShape) -> bool:
    """Whether the slices touch: every second one missing leaves even steps, but no touching."""
    pairs = zip(shape.steps_mm, shape.places, strict=False)
    touches = all(step <= _CONTIGUOUS * (place.thickness_mm or 0.0) for step, place in pairs)
    stated = shape.stated_step_mm
    return touches and (stated is None or max(shape.steps_mm) <= _STATED_STEP * stated)


def _judge_times(shape: SeriesShape, protocol: Protocol) -> Verdict:
    counts = {len(place.moments) for place in shape.places}
    numbered = shape.time_indexes
    if len(counts) != 1 or (numbered and numbered != set(range(1, max(numbered) + 1))):
        return Lack.UNEVEN_TIME_POINTS
    time_points = counts.pop()
    if shape.announced_time_points is not None:
        is_short = time_points < shape.announced_time_points
        return Lack.ANNOUNCED if is_short else Basis.TIME_POINTS
    if time_points < protocol.minimum_time_points and shape.announced_images is None:
        return Lack.FEW_TIME_POINTS
    return Basis.TIME_POINTS


@dataclass(frozen=True)
class Waiting:
    """How long a study is waited for.

    A series that is complete by its protocol waits ``settle``, since an image may be on its way;
    any other waits until nothing came for ``quiet``; nothing waits longer than ``longest``.
    """

    settle: timedelta
    quiet: timedelta
    longest: timedelta

    def is_over(self, quiet_for: timedelta, open_for: timedelta) -> bool:
        """Whether the study is taken as it is, whatever is missing."""
        return quiet_for >= self.quiet or open_for >= self.longest

    def basis(
        self, settled_for: timedelta, quiet_for: timedelta, open_for: timedelta, verdict: Verdict
    ) -> Basis | None:
        """Why an input is complete now; None where it is waited for.

        ``settled_for``: for how long none of its series grew; ``quiet_for``: none of the study.
        """
        if isinstance(verdict, Basis) and settled_for >= self.settle:
            return verdict
        if quiet_for >= self.quiet:
            return Basis.QUIET_PERIOD
        return Basis.UPPER_LIMIT if open_for >= self.longest else None
