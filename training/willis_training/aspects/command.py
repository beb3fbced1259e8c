"""``willis-train aspects``: from the shared atlas to a published bundle, in steps or at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.manifest import Figure, IntensityTransform, Judgement, sha256_of
from willis_models.pipelines.aspects.parameters import TissueParameters, network_grid
from willis_models.runtime.bundle import Bundle, latest_bundle, load_bundle
from willis_models.runtime.session import open_predictor
from willis_training.aspects import recipe
from willis_training.aspects.bundle import load_network, publish_bundle
from willis_training.aspects.cases import TrainingCase, make_cases
from willis_training.aspects.evaluate import (
    FIRST_TEST_NUMBER,
    CaseResult,
    evaluate_head,
    save_results,
    summarise,
    summary_line,
)
from willis_training.aspects.evaluation_page import evaluation_table, write_page
from willis_training.aspects.regions_data import CasePool, service_input
from willis_training.aspects.regions_fit import (
    fit_region_network,
    load_region_network,
    predict,
    region_config,
)
from willis_training.aspects.states_fit import FittedStates, collect, fit_states
from willis_training.aspects.template import build_template
from willis_training.curation.heads import build_heads, load_head
from willis_training.datasets.head_split import heads_of
from willis_training.datasets.lesions import build_banks
from willis_training.export.network_file import export_onnx
from willis_training.fitting.listener import Lines
from willis_training.fitting.result import plan_of, read_result
from willis_training.networks.unet import BothSides
from willis_training.publication.bundle import UNSIGNED, Release
from willis_training.publication.digests import digest_of_cases, digest_of_files
from willis_training.publication.keys import KEY_VARIABLE, read_signing_key
from willis_training.publication.provenance import provenance_of
from willis_training.simulation.anatomy import Anatomy

Report = Callable[[str], None]
CASES_A_BATCH = 4


@dataclass(frozen=True)
class Workshop:
    """Where things lie: shared data, the cache of everything derived, the bundles' root."""

    data: Path
    cache: Path
    bundles: Path
    report: Report

    @property
    def heads(self) -> Path:
        """Prepared heads."""
        return self.cache / "heads"

    @property
    def fitting(self) -> Path:
        """Checkpoints of the region network."""
        return self.cache / "regions"

    def assets(self) -> dict[str, NDArray[Any]]:
        """The template, made once."""
        with np.load(self.cache / "assets.npz") as stored:
            return {name: stored[name] for name in stored.files}

    def head_names(self, *parts: Any) -> tuple[str, ...]:
        """Names of the heads of some parts of the split."""
        return tuple(path.stem for path in heads_of(self.heads, *parts))


def prepare_anatomy(shop: Workshop) -> None:
    """Labels by SyN into each head, the banks of lesions, the template. Resumes."""
    build_heads(shop.data, shop.heads, progress=shop.report)
    if not (shop.cache / "lesions_acute.npz").exists():
        build_banks(shop.data, shop.cache, progress=shop.report)
    if not (shop.cache / "assets.npz").exists():
        shop.report("template: mean of the training heads")
        anatomies = (Anatomy(load_head(p)) for p in heads_of(shop.heads, "train"))
        assets: dict[str, Any] = build_template(anatomies)
        np.savez_compressed(shop.cache / "assets.npz", **assets)


def simulate_cases(shop: Workshop, cases_a_head: int, workers: int) -> None:
    """Fill the cache of training and validation cases. Resumes."""
    heads = heads_of(shop.heads, "train", "validation")
    jobs = [
        (path, range(start, min(start + CASES_A_BATCH, cases_a_head)))
        for start in range(0, cases_a_head, CASES_A_BATCH)
        for path in heads
    ]
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(_simulate_batch, jobs, [shop.cache] * len(jobs)):
            done = len(list((shop.cache / "cases").glob("head_??_????.npz")))
            shop.report(f"simulated cases: {done} of {cases_a_head * len(heads)}")


def _simulate_batch(job: tuple[Path, range], cache: Path) -> None:
    with np.load(cache / "assets.npz") as stored:
        assets = {name: stored[name] for name in stored.files}
    make_cases([job[0]], job[1], cache, recipe.draft_manifest(), assets, lambda _line: None)


@dataclass(frozen=True)
class RegionPlan:
    """How long the region network trains, on how many threads, from which weights."""

    iterations: int
    threads: int
    start_from: Path | None = None


def fit_regions(shop: Workshop, plan: RegionPlan) -> Path:
    """Train the region network; resumes from its last checkpoint."""
    folder = shop.cache / "cases"
    training = CasePool(folder, shop.head_names("train"))
    validation = CasePool(folder, shop.head_names("validation"))
    intensity = IntensityTransform(**recipe.INTENSITY)
    config = region_config(shop.fitting, plan.iterations, plan.threads, plan.start_from)
    listener = Lines(shop.report)
    return fit_region_network(config, training, validation, intensity, listener).best_weights


def fit_region_states(shop: Workshop) -> FittedStates:
    """Fit the classifiers on the labels that the trained network gives the training cases."""
    network = load_network(shop.fitting).hemisphere
    intensity = IntensityTransform(**recipe.INTENSITY)

    def label(case: TrainingCase) -> NDArray[np.uint8]:
        return predict(network, service_input(case, intensity))

    cases = CasePool(shop.cache / "cases", shop.head_names("train", "validation"))
    grid = network_grid(recipe.draft_manifest())
    table = collect(cases, label, grid, TissueParameters(**recipe.TISSUE))
    fitted = fit_states(table, recipe.UNTRAINED_STATES["max_not_assessable"])
    (shop.cache / "states.json").write_text(json.dumps(vars(fitted), indent=1))
    shop.report(f"region states, out of fold: {fitted.figures}")
    return fitted


def stored_states(shop: Workshop) -> FittedStates:
    """The classifiers fitted last."""
    return FittedStates(**json.loads((shop.cache / "states.json").read_text()))


def publish_candidate(
    shop: Workshop,
    evaluation: dict[str, Any],
    version: str | None,
    judgement: Judgement | None = None,
    release: Release = UNSIGNED,
) -> Path:
    """Write a bundle from the latest network and states."""
    fitted = stored_states(shop)
    cases = list(CasePool(shop.cache / "cases", shop.head_names("validation")))[:2]
    intensity = IntensityTransform(**recipe.INTENSITY)
    images = np.stack([service_input(case, intensity) for case in cases])
    return publish_bundle(
        shop.fitting,
        shop.bundles,
        shop.assets(),
        fitted.states,
        fitted.thresholds,
        images,
        evaluation,
        _training_facts(shop, fitted),
        version,
        provenance_of(digest_of_files((shop.cache / "cases").glob("*.npz"), shop.cache)),
        judgement,
        release,
    )


def _training_facts(shop: Workshop, fitted: FittedStates) -> dict[str, Any]:
    fit = read_result(shop.fitting)
    return {
        "plan": plan_of(shop.fitting),
        "iterations_done": fit.steps,
        "fit": {"device": fit.device, "data_digest": fit.data_digest, "seconds": fit.seconds},
        "training_heads": list(shop.head_names("train")),
        "validation_heads": list(shop.head_names("validation")),
        "test_heads": list(shop.head_names("test")),
        "simulated_cases": len(list((shop.cache / "cases").glob("head_??_????.npz"))),
        "template_sha256": sha256_of(shop.cache / "assets.npz"),
        "states_out_of_fold": fitted.figures,
        "machine_cores": os.cpu_count(),
    }


def judge_bundle(
    shop: Workshop,
    bundle: Bundle,
    cases_a_head: int,
    syn_cases_a_head: int,
    workers: int,
    first: int = FIRST_TEST_NUMBER,
) -> tuple[list[CaseResult], dict[str, Any]]:
    """Evaluate a bundle on the test heads, a head a process; results and their summary."""
    results: list[CaseResult] = []
    heads = heads_of(shop.heads, "test")
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        work = partial(
            _judge_head, bundle.folder, shop.cache, cases_a_head, syn_cases_a_head, first
        )
        for path, found in zip(heads, pool.map(work, heads), strict=True):
            results += found
            shop.report(f"{path.stem}: {summary_line(results)}")
    save_results(results, shop.cache / "evaluation.jsonl")
    return results, summarise(results)


def _judge_head(
    folder: Path, cache: Path, cases: int, syn_cases: int, first: int, head: Path
) -> list[CaseResult]:
    from willis_training.aspects.syn_baseline import syn_atlas  # imports antspyx: slow

    bundle = load_bundle(folder)
    predictor = open_predictor(bundle, threads=1)
    return evaluate_head(bundle, predictor, head, cases, cache, syn_atlas, syn_cases, first)


def evaluation_document(results: list[CaseResult], summary: dict[str, Any]) -> dict[str, Any]:
    """``evaluation.json`` of a bundle."""
    return {
        "summary": summary,
        "table": evaluation_table(summary),
        "cases": [vars(result) for result in results],
    }


def judgement_of(
    shop: Workshop, results: Sequence[CaseResult], summary: dict[str, Any]
) -> Judgement:
    """The figures that versions are compared by. A case is its head, its number and its truth."""
    heads = {path.stem: sha256_of(path) for path in heads_of(shop.heads, "test")}
    cases = {
        f"{one.head} {one.number}": f"{heads[one.head]} {one.thickness_mm:.4f} {one.drop_hu:.4f}"
        for one in results
    }
    error = summary["classifier"]["score_error_abs_mean"]
    figures = (
        Figure(name="mean region Dice", value=summary["dice_network"]["mean"]),
        Figure(name="mean absolute error of the score", value=error, higher_is_better=False),
    )
    return Judgement(test_set_sha256=digest_of_cases(cases), cases=len(cases), figures=figures)


def _release(shop: Workshop, accept_worse: str | None) -> Release:
    """Signed with the key of WILLIS_SIGNING_KEY, or the one in the cache."""
    path = Path(os.environ.get(KEY_VARIABLE) or shop.cache / "signing" / "willis.key")
    if not path.is_file() and KEY_VARIABLE not in os.environ:
        shop.report(f"no key at {path}: the bundle will not be signed (willis-train sign does it)")
        return Release(accept_worse=accept_worse)
    return Release(read_signing_key(path), accept_worse)


def publish_judged(
    shop: Workshop,
    test_cases_a_head: int,
    syn_cases: int,
    page: Path,
    workers: int,
    accept_worse: str | None = None,
) -> Path:
    """Publish the networks in the cache as the next version, judged before and with its page."""
    release = _release(shop, accept_worse)
    workbench = Workshop(shop.data, shop.cache, shop.cache / "candidate", shop.report)
    candidate = load_bundle(publish_candidate(workbench, {}, "0.0.0"))
    results, summary = judge_bundle(shop, candidate, test_cases_a_head, syn_cases, workers)
    judgement = judgement_of(shop, results, summary)
    evaluation = evaluation_document(results, summary)
    folder = publish_candidate(shop, evaluation, None, judgement, release)
    write_page(page, load_bundle(folder).manifest, summary)
    shop.report(f"published {folder}; the figures are in {page}")
    return folder


def retrain(
    shop: Workshop,
    plan: RegionPlan,
    cases_a_head: int,
    test_cases_a_head: int,
    syn_cases: int,
    page: Path,
) -> Path:
    """All steps in order; every one resumes where it stopped. Publishes the next version."""
    prepare_anatomy(shop)
    simulate_cases(shop, cases_a_head, plan.threads)
    fit_regions(shop, plan)
    fit_region_states(shop)
    return publish_judged(shop, test_cases_a_head, syn_cases, page, plan.threads)


def analysis_results(
    shop: Workshop, out: Path, cases_a_head: int, members: Sequence[Path], threads: int
) -> None:
    """What the newest bundle says of validation and test studies; ``members`` are weights files."""
    from willis_training.aspects.analysis_results import write_results

    exported = [_export_member(weights, out) for weights in members]
    write_results(newest(shop), shop.cache, out, cases_a_head, exported, shop.report, threads)


def _export_member(weights: Path, out: Path) -> Path:
    path = out / "members" / f"{sha256_of(weights)[:16]}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        network = BothSides(load_region_network(weights)).eval()
        export_onnx(network, np.zeros((1, 1, *recipe.GRID_SHAPE), np.float32), path)
    return path


def newest(shop: Workshop) -> Bundle:
    """The bundle that the service would load."""
    return latest_bundle("aspects", shop.bundles)
