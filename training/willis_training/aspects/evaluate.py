"""Evaluation on held-out heads and lesions: the exported ONNX through the service's ``analyse()``.

Every case is simulated anew from a test head with test lesions, analysed as the service does it,
and compared with its truth on the native slices. The mandatory baselines go through the same
cases: the atlas by affine registration, the atlas by SyN, and the deterministic rule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import ASPECTS_REGIONS
from willis_models.findings import Findings
from willis_models.imaging.resample import labels_on_stack
from willis_models.pipelines.aspects.parameters import parameters_of
from willis_models.pipelines.aspects.pipeline import ASPECTS
from willis_models.pipelines.aspects.prepare import prepare
from willis_models.pipelines.base import Analysis, InputImage, Predictor, analyse
from willis_models.runtime.bundle import Bundle
from willis_training.aspects.cases import Lesions, draw_scan
from willis_training.curation.heads import load_head
from willis_training.metrics import dice_by_class
from willis_training.simulation.anatomy import Anatomy
from willis_training.simulation.ncct import SimulatedScan

FIRST_TEST_NUMBER = 7000
"""The first study of a judgement. Numbers from 5000 on are for judging only; each version takes
numbers that nobody has looked at (0.1.0: from 5000 and 6000)."""
STROKE_SHARE = 0.6

SynBaseline = Callable[[SimulatedScan, Bundle], NDArray[np.uint8]]


@dataclass(frozen=True)
class CaseResult:
    """What one case gave. Lists hold labels 1-20 in order; None where nothing was found."""

    head: str
    number: int
    status: str
    code: str | None
    drop_hu: float
    thickness_mm: float
    tilt_deg: float
    noise_hu: float
    covered: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    rule_states: list[str] = field(default_factory=list)
    probabilities: list[float | None] = field(default_factory=list)
    dice: list[float] = field(default_factory=list)
    affine_dice: list[float] = field(default_factory=list)
    syn_dice: list[float] | None = None
    scores: dict[str, int | None] = field(default_factory=dict)
    side: str | None = None
    seconds: float = 0.0


def evaluate_head(
    bundle: Bundle,
    predictor: Predictor,
    head: Path,
    cases: int,
    cache: Path,
    syn: SynBaseline | None = None,
    syn_cases: int = 0,
    first: int = FIRST_TEST_NUMBER,
) -> list[CaseResult]:
    """Analyse scans ``first`` and on of one prepared head; SyN only on the first ``syn_cases``."""
    lesions = Lesions.load(cache)
    anatomy = Anatomy(load_head(head))
    results = []
    for n in range(cases):
        number = first + n
        scan = draw_scan(anatomy, lesions, number, stroke_share=STROKE_SHARE)
        with_syn = syn if n < syn_cases else None
        results.append(judge(anatomy.head.name, number, scan, bundle, predictor, with_syn))
    return results


def judge(
    head: str,
    number: int,
    scan: SimulatedScan,
    bundle: Bundle,
    predictor: Predictor,
    syn: SynBaseline | None,
) -> CaseResult:
    """Analyse one scan and compare with its truth."""
    case = {"ncct": InputImage(scan.stack)}
    analysis = analyse(ASPECTS, case, bundle.manifest, bundle.assets, predictor)
    scanner = scan.placement.scanner
    base = CaseResult(
        head=head,
        number=number,
        status=analysis.findings.status,
        code=analysis.findings.rejection.code if analysis.findings.rejection else None,
        drop_hu=scan.drop_hu,
        thickness_mm=scanner.thickness_mm,
        tilt_deg=scanner.tilt_deg,
        noise_hu=scanner.noise_hu,
    )
    if analysis.labels is None:
        return base
    return _with_results(base, scan, analysis, bundle, syn)


def _with_results(
    base: CaseResult,
    scan: SimulatedScan,
    analysis: Analysis,
    bundle: Bundle,
    syn: SynBaseline | None,
) -> CaseResult:
    findings, labels = analysis.findings, analysis.labels
    assert labels is not None  # narrowed by the caller; a rejected study has none
    segments = findings.segments
    return CaseResult(
        **{
            **asdict(base),
            "covered": [round(float(c), 4) for c in scan.covered],
            "states": [s.state or "" for s in segments],
            "rule_states": [s.rule_state or "" for s in segments],
            "probabilities": [s.value("probability") for s in segments],
            "dice": region_dice(labels, scan.regions),
            "affine_dice": region_dice(affine_atlas(scan, bundle), scan.regions),
            "syn_dice": region_dice(syn(scan, bundle), scan.regions) if syn else None,
            "scores": {score.side: score.score for score in findings.scores},
            "side": findings.side_selection.side if findings.side_selection else None,
            "seconds": _seconds(findings),
        }
    )


def _seconds(findings: Findings) -> float:
    return round(sum(findings.timings_s.values()), 2)


def region_dice(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> list[float]:
    """Dice of labels 1-20 on the native slices."""
    return [round(float(d), 4) for d in dice_by_class(found, truth, range(1, 21), empty=0.0)]


def affine_atlas(scan: SimulatedScan, bundle: Bundle) -> NDArray[np.uint8]:
    """Baseline: the bundle's mean atlas carried by the affine registration alone."""
    case = {"ncct": InputImage(scan.stack)}
    head = prepare(case, bundle.manifest, bundle.assets).context
    atlas = bundle.assets["atlas"]
    grid = parameters_of(bundle.manifest).template_grid(atlas.shape)
    return labels_on_stack(atlas, grid, scan.stack, head.registration.to_template)


def summarise(results: Sequence[CaseResult]) -> dict[str, Any]:
    """The figures of the evaluation table."""
    done = [r for r in results if r.status == "succeeded"]
    syn = [r for r in done if r.syn_dice is not None]
    return {
        "cases": len(results),
        "rejected": len(results) - len(done),
        "heads": sorted({r.head for r in results}),
        "dice_network": _dice_figures([r.dice for r in done]),
        "dice_affine_atlas": _dice_figures([r.affine_dice for r in done]),
        "dice_syn_atlas": _dice_figures([r.syn_dice for r in syn if r.syn_dice]) if syn else None,
        "dice_network_on_syn_cases": _dice_figures([r.dice for r in syn]) if syn else None,
        "classifier": _state_figures(done, lambda r: r.states),
        "rule": _state_figures(done, lambda r: r.rule_states),
        "laterality": _laterality(done),
        "dice_by_thickness": _dice_by_thickness(done),
        "sensitivity_by_cover": _sensitivity_by_cover(done),
        "calibration": _calibration(done),
        "seconds_median": float(np.median([r.seconds for r in done])) if done else None,
    }


def _dice_figures(dice: Sequence[Sequence[float]]) -> dict[str, Any]:
    both = np.array(dice).reshape(len(dice), 2, 10)
    regions = both.mean(axis=(0, 1))
    return {
        "n": len(dice),
        "mean": round(float(regions.mean()), 4),
        "lowest_region": round(float(regions.min()), 4),
        "by_region": {n: round(float(d), 4) for n, d in zip(ASPECTS_REGIONS, regions, strict=True)},
        "lowest_case": round(float(both.mean(axis=(1, 2)).min()), 4),
    }


def _state_figures(
    done: Sequence[CaseResult], states: Callable[[CaseResult], list[str]]
) -> dict[str, Any]:
    called = np.array([[s == "affected" for s in states(r)] for r in done])
    known = np.array([[s != "not_assessable" for s in states(r)] for r in done])
    truth = np.array([[c >= 0.2 for c in r.covered] for r in done])
    drop = np.array([r.drop_hu for r in done])[:, None]
    strong = truth & (drop >= 3.0)
    clean = np.array([r.drop_hu == 0 for r in done])
    error = called.reshape(-1, 2, 10).sum(2) - truth.reshape(-1, 2, 10).sum(2)
    return {
        "regions": int(known.sum()),
        "not_assessable": int((~known).sum()),
        "sensitivity": _share(called, truth & known),
        "sensitivity_3hu": _share(called, strong & known),
        "sensitivity_by_drop": {
            f"{low}-{high} HU": _share(called, truth & known & (drop >= low) & (drop < high))
            for low, high in ((1.5, 3.0), (3.0, 5.0), (5.0, 7.0), (7.0, 9.1))
        },
        "specificity": 1.0 - _share(called, ~truth & known),
        "stroke_free_studies": int(clean.sum()),
        "stroke_free_at_10": round(float(1.0 - called[clean].any(axis=1).mean()), 4),
        "score_error_mean": round(float(error.mean()), 3),
        "score_error_abs_mean": round(float(np.abs(error).mean()), 3),
        "by_region": _by_region(called, truth, known),
    }


def _by_region(
    called: NDArray[np.bool_], truth: NDArray[np.bool_], known: NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    found = {}
    for n, name in enumerate(ASPECTS_REGIONS):
        at = [n, n + 10]
        yes, no = truth[:, at] & known[:, at], ~truth[:, at] & known[:, at]
        found[name] = {
            "affected": int(yes.sum()),
            "sensitivity": _share(called[:, at], yes),
            "specificity": 1.0 - _share(called[:, at], no),
        }
    return found


def _dice_by_thickness(done: Sequence[CaseResult]) -> dict[str, dict[str, float]]:
    bins = (("up to 2.5 mm", 0.0, 2.5), ("3-5 mm", 2.5, 5.0), ("6-8 mm", 5.0, 8.0))
    found = {}
    for name, low, high in bins:
        dice = [float(np.mean(r.dice)) for r in done if low < r.thickness_mm <= high]
        if dice:
            found[name] = {"n": len(dice), "mean": round(float(np.mean(dice)), 4)}
    return found


def _sensitivity_by_cover(done: Sequence[CaseResult]) -> dict[str, dict[str, float]]:
    """Sensitivity by the share of the region that the lesion covers, drops of 3 HU or more."""
    strong = [r for r in done if r.drop_hu >= 3.0]
    called = np.array([[s == "affected" for s in r.states] for r in strong])
    covered = np.array([r.covered for r in strong])
    found = {}
    for low, high in ((0.2, 0.4), (0.4, 0.7), (0.7, 1.01)):
        among = (covered >= low) & (covered < high)
        name = f"{low:.0%}-{min(high, 1.0):.0%}"
        found[name] = {"n": int(among.sum()), "sensitivity": _share(called, among)}
    return found


def _calibration(done: Sequence[CaseResult]) -> dict[str, Any]:
    """Observed share of affected regions by predicted probability, and the expected error."""
    pairs = [
        (p, c >= 0.2)
        for r in done
        for p, c in zip(r.probabilities, r.covered, strict=True)
        if p is not None
    ]
    predicted, truth = np.array([p for p, _ in pairs]), np.array([t for _, t in pairs])
    place = np.minimum((predicted * 5).astype(int), 4)
    bins, error = [], 0.0
    for n in range(5):
        mine = place == n
        if mine.any():
            mean, seen = float(predicted[mine].mean()), float(truth[mine].mean())
            bins.append({"n": int(mine.sum()), "predicted": round(mean, 3), "seen": round(seen, 3)})
            error += float(mine.mean()) * abs(mean - seen)
    return {"bins": bins, "expected_error": round(error, 4)}


def _share(called: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return round(float(called[among].mean()), 4) if among.any() else float("nan")


def _laterality(done: Sequence[CaseResult]) -> dict[str, int]:
    """Of the studies with a stroke and a chosen side: how often the side was the right one."""
    right = wrong = unchosen = 0
    for result in done:
        if result.drop_hu == 0:
            continue
        truth = "left" if sum(result.covered[:10]) > sum(result.covered[10:]) else "right"
        if result.side is None:
            unchosen += 1
        elif result.side == truth:
            right += 1
        else:
            wrong += 1
    return {"right": right, "wrong": wrong, "none_chosen": unchosen}


def summary_line(results: Sequence[CaseResult]) -> str:
    """One line of progress."""
    figures = summarise(results)
    return (
        f"{figures['cases']} cases, Dice {figures['dice_network']['mean']:.3f} (affine atlas "
        f"{figures['dice_affine_atlas']['mean']:.3f}), sensitivity for 3 HU or more "
        f"{figures['classifier']['sensitivity_3hu']:.2f}, specificity "
        f"{figures['classifier']['specificity']:.3f}, stroke-free at 10 "
        f"{figures['classifier']['stroke_free_at_10']:.2f}"
    )


def save_results(results: Sequence[CaseResult], path: Path) -> None:
    """Every case, one JSON object a line."""
    lines = (json.dumps(asdict(result)) for result in results)
    path.write_text("\n".join(lines) + "\n")


def load_results(path: Path) -> list[CaseResult]:
    """Read what ``save_results`` wrote."""
    return [CaseResult(**json.loads(line)) for line in path.read_text().splitlines()]
