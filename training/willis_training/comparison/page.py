"""The comparison as a page: the table, the paired tests, what it is made of and what it is not."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.comparison.paired import PairedTest
from willis_training.comparison.plan import ComparisonPlan
from willis_training.comparison.summary import Standing, Summary
from willis_training.machine import this_machine

PROVIDERS = {"CPUExecutionProvider": "CPU", "CUDAExecutionProvider": "GPU"}


def write_page(
    path: Path, plan: ComparisonPlan, plan_file: Path, summary: Summary, picture: Path
) -> None:
    """Write the page, whole or not at all; ``picture`` is linked from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    link = os.path.relpath(picture, path.parent)
    partial = path.with_suffix(".part")
    partial.write_text(render_page(plan, plan_file, summary, link))
    os.replace(partial, path)


def render_page(plan: ComparisonPlan, plan_file: Path, summary: Summary, link: str) -> str:
    """Markdown of the whole comparison."""
    return f"""# {plan.title}
{INTENDED_USE_STATEMENT}
Performance on patients: not measured.

Made by `willis-train compare {plan_file}`. A finished run is not done again; one that stopped goes
on.

{len(summary.cases)} test cases in {_folds(plan, summary)}, each judged once by networks that saw
neither it nor another case of its person. **Budget**: the same {_iterations(plan)} optimiser steps
of the same samples in the same order for every architecture; weights chosen by the mean Dice of
the fold's validation cases. Trained on {"; ".join(summary.devices)};
page written on {this_machine()}.

## Results
{results_table(summary)}

![Dice of every case, and Dice against latency]({link})

Dice is the mean over cases. Training time is wall time (processor time in brackets) over all folds,
validations included. Latency is the median of {plan.latency_repeats} forward passes of the exported
ONNX on one patch of {_patch(plan)} voxels, {plan.threads} CPU thread{"s"[: plan.threads > 1]}. Peak
memory is the resident memory of a process that does nothing else: one that trains, one that runs
the exported network.{busy_note(summary.load)}

## Paired tests
Difference of the mean Dice of a case, first minus second. Interval: 95%, bootstrap over persons.
p: Wilcoxon's signed-rank test over cases, and after Holm's correction for {len(summary.tests)}
tests.

{pairs_table(summary)}

Cases of one person are not independent, which the signed-rank test does not know: where p and the
interval disagree, trust the interval.

## How it was set up
```yaml
{_setup(plan)}
```

`willis-train compare-example --full-size` prints a plan for GPUs and data of one's own.

## Limits
- A short budget favours what learns fast, and small data what has few weights. Transformers are
  known to need more of both; a ranking at this size is not one at full size.
- Sizes were not tuned for any architecture, and the learning rate is the same for all.
- Differences between test cases are larger than those between architectures: read the intervals.
"""


def full_size_plan() -> str:
    """The plan of a comparison at full size, as it ships with the package."""
    return files("willis_training.comparison").joinpath("full_size.yaml").read_text()


def busy_note(load: float) -> str:
    """A warning where more processes wanted a core than there are; else nothing."""
    cores = os.cpu_count() or 1
    if load <= cores:
        return ""
    return (
        f"\n\n**The machine was busy** (load average up to {load:.1f} on {cores} cores): read "
        "times and latencies as ratios."
    )


def _folds(plan: ComparisonPlan, summary: Summary) -> str:
    count = f"{summary.folds} fold{'s'[: summary.folds > 1]}"
    chosen = ", ".join(plan.only_folds)
    return f"{count} ({chosen}; the others were not run)" if chosen else count


def _iterations(plan: ComparisonPlan) -> str:
    return str(plan.run.get("iterations", "default number of"))


def _patch(plan: ComparisonPlan) -> str:
    patch = plan.network.get("patch", (64, 64, 64))
    return " x ".join(str(size) for size in patch)


def results_table(summary: Summary) -> str:
    """One row for each architecture, best first."""
    providers = list(next(iter(summary.standings.values())).latency_s)
    head = [
        "architecture",
        "mean Dice",
        *(f"Dice {name}" for name in summary.classes),
        "parameters",
        "ONNX MB",
        "training min (CPU)",
        *(f"latency {PROVIDERS.get(name, name)} ms" for name in providers),
        "peak MB training",
        "peak MB inference",
    ]
    rows = [
        [name, *_cells(standing, summary.classes)] for name, standing in summary.standings.items()
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _cells(standing: Standing, classes: tuple[str, ...]) -> list[str]:
    training_mb = f"{standing.training_peak_mb:.0f}"
    if standing.gpu_peak_mb is not None:
        training_mb += f" (GPU {standing.gpu_peak_mb:.0f})"
    return [
        f"{standing.dice.mean():.3f}",
        *(f"{standing.dice_by_class[name]:.3f}" for name in classes),
        f"{standing.parameters / 1e6:.2f} M",
        f"{standing.model_mb:.1f}",
        f"{standing.seconds / 60:.1f} ({standing.cpu_seconds / 60:.1f})",
        *(f"{1000 * seconds:.0f}" for seconds in standing.latency_s.values()),
        training_mb,
        f"{standing.inference_peak_mb:.0f}",
    ]


def pairs_table(summary: Summary) -> str:
    """One row for each pair."""
    rows = [_test_row(test) for test in summary.tests]
    head = "| first | second | difference (95% interval) | p | p (Holm) |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _test_row(test: PairedTest) -> str:
    difference = f"{test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f})"
    return f"| {test.first} | {test.second} | {difference} | {_p(test.p)} | {_p(test.p_holm)} |"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _setup(plan: ComparisonPlan) -> str:
    import yaml

    shown = plan.model_dump(mode="json", exclude={"title", "folder"})
    return yaml.safe_dump(shown, sort_keys=False, default_flow_style=None, width=88).rstrip()
