"""What a run was given, as those who open it need it; and options, before and after an order."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from willis_models.errors import BadOption
from willis_models.pipelines.base import Pipeline
from willis_service.application.ports import ExtentReader, OrderedInput
from willis_service.domain.job import Options, Run

FRAME_TIMES = "frame_times_s"
"""An option of the reading, not of any pipeline: when each frame of an image in time was taken."""


def ordered_input(run: Run, path_of: Callable[[str], Path]) -> OrderedInput:
    """The files of a run, by role where the order says so."""
    files = [path_of(stored) for stored in run.inputs]
    times_s = frame_times_of(run.job.options)
    return OrderedInput(files, files_by_role(files, run.roles), times_s)


def files_by_role(files: Sequence[Path], roles: Sequence[str]) -> Mapping[str, Sequence[Path]]:
    """The files of each role; a file without a role is left out."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path, role in zip(files, roles, strict=False):
        if role:
            found[role].append(path)
    return dict(found)


def checked_options(pipeline: Pipeline, options: Options | None) -> Options:
    """The options as they are stored with an order, where equal ones look equal.

    Raises BadOption before anything is ordered that the pipeline would refuse.
    """
    given = options or {}
    times_s = list(frame_times_of(given))
    own = dict(pipeline.options_of(pipeline_options(given)))
    stored: Options = json.loads(json.dumps({**own, FRAME_TIMES: times_s} if times_s else own))
    return stored


def check_places(
    pipeline: Pipeline,
    options: Options,
    files: Mapping[str, Sequence[Path]],
    extent_of: ExtentReader,
) -> None:
    """Refuse a place outside the images in which it is to be measured, before anything is ordered.

    ``files`` are those of each role. Raises BadOption; a mistyped place would otherwise end as a
    rejected study, and amend an earlier result.
    """
    titles = {role.name: role.title for role in pipeline.roles}
    for name, role in pipeline.places.items():
        if name not in options:
            continue
        if role not in files:
            raise BadOption(
                f"{name} is a place in the {titles[role]}, and none is used: leave the option out."
            )
        extent = extent_of(files[role])
        if extent is not None and not extent.holds(options[name]):
            place = ", ".join(f"{axis:g}" for axis in options[name])
            raise BadOption(
                f"{name}: the place {place} lies outside the {titles[role]}, which covers "
                f"{extent} (LPS)."
            )


def pipeline_options(options: Options) -> Mapping[str, Any]:
    """Those that are the pipeline's own."""
    return {name: value for name, value in options.items() if name != FRAME_TIMES}


def frame_times_of(options: Options) -> tuple[float, ...]:
    """The times of the frames, in seconds and rising; empty where none are given."""
    given = options.get(FRAME_TIMES, ())
    is_list = isinstance(given, list | tuple)
    if not is_list or not all(_is_number(one) for one in given):
        raise BadOption(f"{FRAME_TIMES} is a list of numbers, in seconds.")
    times_s = tuple(float(one) for one in given)
    if any(after <= before for before, after in pairwise(times_s)):
        raise BadOption(f"{FRAME_TIMES} must rise from frame to frame.")
    return times_s


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
