"""What a bundle says of simulated studies, as a results folder for ``willis-train analyse``.

Studies of the validation head serve the temperature; those of the test heads, with lesions that
nothing was trained on, are reported; and some of them come back as inputs that no scanner should
deliver, to see whether the out-of-distribution score notices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import InputError
from willis_models.manifest import Manifest
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.interpret import volumes_ml
from willis_models.pipelines.aspects.parameters import network_grid
from willis_models.pipelines.aspects.prepare import prepare
from willis_models.pipelines.base import InputImage, Predictor
from willis_models.runtime.bundle import Bundle
from willis_models.runtime.session import OnnxPredictor, open_predictor, open_session
from willis_training.analysis.analyse import ODDITY
from willis_training.analysis.averaging import SHIFTS, averaged_over_shifts
from willis_training.analysis.oddities import ODDITIES, Prepared, make_odd
from willis_training.analysis.outliers import FEATURES, image_features
from willis_training.analysis.results import (
    About,
    SavedCase,
    TrainingFeatures,
    Variant,
    case_path,
    save_about,
    save_case,
    save_training_features,
)
from willis_training.aspects.cases import Lesions, draw_scan, truth_on_grid
from willis_training.aspects.regions_data import CasePool, service_input
from willis_training.curation.heads import load_head
from willis_training.datasets.head_split import Part, heads_of, part_of
from willis_training.simulation.anatomy import Anatomy
from willis_training.simulation.ncct import SimulatedScan

FIRST_NUMBER = 9000
"""Case numbers from here on were looked at by nobody when thresholds were chosen."""
ODD_A_HEAD = 1

Image = NDArray[np.float32]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """A simulated study as the network gets it, and how it was made."""

    prepared: Prepared
    facts: Mapping[str, float | str]


@dataclass(frozen=True)
class Desk:
    """What answers: the bundle's network, and the members of an ensemble with it."""

    predictor: Predictor
    members: tuple[Predictor, ...]
    spacing_mm: tuple[float, float, float]


def write_results(
    bundle: Bundle,
    cache: Path,
    out: Path,
    cases_a_head: int,
    members: Sequence[Path],
    report: Report,
    threads: int = 1,
) -> None:
    """Fill a results folder; a case that is there is not made again. ``members`` are ONNX files."""
    manifest = bundle.manifest
    save_about(out, _about(manifest, len(members)))
    _write_training_features(cache, manifest, out, report)
    predictor = open_predictor(bundle, threads=threads)
    more = tuple(
        OnnxPredictor(open_session(p, threads=threads), predictor.identity) for p in members
    )
    desk = Desk(predictor, more, network_grid(manifest).spacing_mm)
    lesions = Lesions.load(cache)
    for path in heads_of(cache / "heads", "validation", "test"):
        for number in range(FIRST_NUMBER, FIRST_NUMBER + cases_a_head):
            _write_case(desk, bundle, lesions, path, number, out, report)
            report(f"{path.stem}: {number - FIRST_NUMBER + 1} of {cases_a_head} studies")


def _about(manifest: Manifest, members: int) -> About:
    names = {0: "background", **{output.value: output.label for output in manifest.outputs}}
    notes = (
        "Simulated studies on the network's grid. Test: heads and lesions that nothing was trained "
        "on. Intervals take cases as independent; they come from few heads.",
        f"The ensemble is the bundle's network with {members} more; averaged copies are the input "
        "moved by one voxel to each side. Seconds are those of the network alone, on one thread.",
    )
    return About(model=f"{manifest.name} {manifest.version}", label_names=names, notes=notes)


def _write_training_features(cache: Path, manifest: Manifest, out: Path, report: Report) -> None:
    parts: tuple[Part, ...] = ("train",)
    heads = tuple(path.stem for path in heads_of(cache / "heads", *parts))
    rows, groups = [], []
    for case in CasePool(cache / "cases", heads):
        image = service_input(case, manifest.inputs[0].intensity)
        rows.append(image_features(image, case.brain & case.covered_grid))
        groups.append(case.head)
    report(f"features of {len(rows)} training inputs")
    save_training_features(out, TrainingFeatures(np.array(rows), FEATURES, np.array(groups)))


def _write_case(
    desk: Desk,
    bundle: Bundle,
    lesions: Lesions,
    path: Path,
    number: int,
    out: Path,
    report: Report,
) -> None:
    part, case_id = part_of(path.stem), f"{path.stem}_{number}"
    odd = tuple(ODDITIES) if part == "test" and number < FIRST_NUMBER + ODD_A_HEAD else ()
    wanted = [case_id, *(f"{case_id}_{_short(name)}" for name in odd)]
    if all(case_path(out, name).exists() for name in wanted):
        return
    try:
        study = _simulate(Anatomy(load_head(path)), lesions, number, bundle)
    except InputError as error:
        report(f"{case_id}: rejected as {error.code}: {error.message}")
        return
    save_case(out, answer(desk, case_id, part, study, with_variants=True))
    for name in odd:
        strange = Study(make_odd(study.prepared, name), {**study.facts, ODDITY: name})
        odd_id = f"{case_id}_{_short(name)}"
        save_case(out, answer(desk, odd_id, "odd", strange, with_variants=False))


def _short(name: str) -> str:
    return name.replace(" ", "-").replace("%", "")


def _simulate(anatomy: Anatomy, lesions: Lesions, number: int, bundle: Bundle) -> Study:
    """One study, prepared as the service does. Raises InputError where it would be rejected."""
    scan = draw_scan(anatomy, lesions, number)
    case = {"ncct": InputImage(scan.stack)}
    prepared = prepare(case, bundle.manifest, bundle.assets)
    head: HeadInTemplate = prepared.context
    return Study(
        Prepared(prepared.network_input[0], head.brain & head.covered, truth_on_grid(scan, head)),
        _facts(scan),
    )


def _facts(scan: SimulatedScan) -> dict[str, float | str]:
    scanner = scan.placement.scanner
    region_ml = volumes_ml(scan.regions, scan.stack)[1:]
    return {
        "infarct_ml": float((scan.covered * region_ml).sum()),
        "drop_hu": scan.drop_hu,
        "thickness_mm": scanner.thickness_mm,
        "noise_hu": scanner.noise_hu,
        "tilt_deg": abs(scanner.tilt_deg),
        "pitch_deg": abs(scanner.pitch_deg),
        "roll_deg": abs(scanner.roll_deg),
    }


def answer(desk: Desk, case_id: str, part: str, study: Study, with_variants: bool) -> SavedCase:
    """What the bundle's network says of a study, and the ensemble and the shifted copies."""
    image = study.prepared.image
    probabilities, seconds = _timed(desk.predictor, image)
    variants = dict(_variants(desk, image, probabilities, seconds)) if with_variants else {}
    return SavedCase(
        case_id=case_id,
        part=part,
        probabilities=probabilities,
        truth=study.prepared.truth,
        image=image,
        spacing_mm=desk.spacing_mm,
        seconds=seconds,
        facts=study.facts,
        features=image_features(image, study.prepared.mask),
        variants=variants,
    )


def _timed(predictor: Predictor, image: Image) -> tuple[NDArray[np.float32], float]:
    start = time.perf_counter()
    found = predictor(image[None])
    return found, time.perf_counter() - start


def _variants(
    desk: Desk, image: Image, probabilities: NDArray[np.float32], seconds: float
) -> Iterator[tuple[str, Variant]]:
    start = time.perf_counter()
    averaged = averaged_over_shifts(lambda copy: desk.predictor(copy[None]), image)
    took = time.perf_counter() - start
    yield f"{len(SHIFTS)} shifted copies", _variant(averaged, took)
    if desk.members:
        answers = [_timed(member, image) for member in desk.members]
        mean = np.mean([probabilities, *(found for found, _ in answers)], axis=0)
        cost = seconds + sum(spent for _, spent in answers)
        yield f"ensemble of {1 + len(answers)}", _variant(mean, cost)


def _variant(probabilities: NDArray[Any], seconds: float) -> Variant:
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    return Variant(labels, probabilities.max(axis=0), seconds)
