"""The comparison as a page: how it was made, the tables, and what they don't say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from willis_models.codes import ASPECTS_REGIONS
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.machine import this_machine
from willis_training.scores.candidates import CANDIDATES
from willis_training.scores.features import FEATURE_SETS
from willis_training.scores.figures import Figure
from willis_training.scores.study import GAINS, Comparison, Pair

SET_TITLES: Mapping[str, str] = {
    "hu": "HU",
    "hu_shape_texture": "HU + shape + texture",
    "service": "service",
    "service_shape_texture": "service + shape + texture",
}

CONTENTS: Mapping[str, str] = {
    "hu": "mean, median, difference from the mirror, ratio, drop below the brain",
    "hu_shape_texture": "also first-order, co-occurrence, local binary patterns, volume, "
    "sphericity, elongation, flatness; own and difference",
    "service": "what the shipped bundle uses: quantiles, local asymmetry, the side's other regions",
    "service_shape_texture": "both",
}


def write_page(path: Path, comparison: Comparison) -> None:
    """Write the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(render_page(comparison))
    os.replace(partial, path)


def render_page(comparison: Comparison) -> str:
    """Markdown of the whole comparison."""
    facts = comparison.facts
    best = best_pair(comparison)
    return f"""# Score models: which classifier for a region's state
{INTENDED_USE_STATEMENT}
Performance on patients: not measured.

Made by `willis-train scores`. The table is rebuilt from the simulated studies in the cache
([simulation.md](../simulation.md)); a study or a candidate that is done is not done again.

```
willis-train scores --cache .cache --page docs/training/scores.md
willis-train scores --classifiers logistic,forest --feature-sets hu,service
```

## Question
A region is affected when at least 20% of its tissue lies in the lesion. Which classifier tells this
best from the region and its mirror, and do shape and texture add to HU?

## Material and method
{facts["studies"]} simulated studies of {facts["heads"]} heads, {facts["with_stroke"]} of them with
one of {facts["lesions"]} different lesions: {facts["regions"]} assessable regions,
{facts["affected"]} affected. Regions are labelled by the published network, which was trained on
these heads: labels in a new head are a little worse. Table `{facts["table_sha256"][:16]}`.

- **Nested cross-validation**: {facts["outer_folds"]} outer folds judge; {facts["inner_folds"]}
  inner folds choose the setting and the thresholds. Folds divide the heads, and a study whose
  lesion also lies in a test head is left out of training. Seed {facts["seed"]}.
- **Settings** are chosen once for all ten regions by the mean AUC. **Thresholds** follow the
  service's rule: best sensitivity at a specificity of .93, with 92% of stroke-free studies at 10.
- **Score**: 10 minus the affected regions among those assessable, on the side of the stroke, in
  the studies with a stroke. ICC(2,1) is absolute agreement of single raters; kappa has linear
  weights.
- **Intervals**: 95%, bootstrap over heads (500 draws). The AUC is the mean of the ten regions'.

{feature_sets_table()}

## All candidates
{candidates_table(comparison)}

The deterministic rule is Mokin's: ratio at most .95 or difference at least 2 HU. It is not tuned.
Computed on {this_machine()}.

{reading(comparison)}

## What richer features add
Difference of the mean AUC on the same regions, paired in each bootstrap draw.

{gains_table(comparison)}

## By region: {_name(best)}
The candidate with the highest ICC.

{regions_table(comparison.figures[best])}

## Settings that were chosen
{settings_table(comparison)}

## Limits
- The studies are simulated: lesions darken tissue by a known drop, and texture is that of a noise
  model. What texture adds in patients, where oedema and noise differ, is not known.
- {facts["heads"]} heads are few, and intervals that draw heads know only these heads. Candidates
  whose intervals overlap are not ranked by this table.
- The service runs logistic regression on the service's features. Another candidate would need its
  own entry in the manifest before it could be published.
- Anchors from the literature, on patients, not comparable with the figures above: ICC .76 (Kuang,
  random forest against DWI), weighted kappa .59 (RAPID); a hundred raters agree exactly in 28% of
  studies.
"""


def reading(comparison: Comparison) -> str:
    """What the tables say, in sentences that follow from their figures."""
    best = best_pair(comparison)
    area = max(comparison.figures, key=lambda pair: comparison.figures[pair]["auc"][0])
    lines = [
        f"- Highest ICC: {_name(best)}, {_interval(comparison.figures[best]['icc'])}.",
        f"- Highest AUC: {_name(area)}, {_interval(comparison.figures[area]['auc'])}.",
        f"- ICC of the deterministic rule: {_interval(comparison.rule['icc'])}.",
    ]
    for richer, simpler in GAINS:
        found = [g for (_, *sets), g in comparison.gains.items() if sets == [richer, simpler]]
        if found:
            above = sum(low > 0 for _, low, _ in found)
            lines.append(
                f"- {SET_TITLES[richer]} over {SET_TITLES[simpler]}: the AUC rises, with an "
                f"interval above 0, for {above} of {len(found)} classifiers."
            )
    lines.append(
        "- AUC ranks single regions, ICC judges their sum at one threshold: a candidate can lead "
        "in the one and not in the other. The mean error says in which direction."
    )
    return "\n".join(lines)


def feature_sets_table() -> str:
    """What each feature set holds."""
    rows = [
        f"| {SET_TITLES[name]} | {len(features)} | {CONTENTS[name]} |"
        for name, features in FEATURE_SETS.items()
    ]
    return "\n".join(["| feature set | features | what |", "|---|---|---|", *rows])


def best_pair(comparison: Comparison) -> Pair:
    """The candidate with the highest ICC."""
    return max(comparison.figures, key=lambda pair: comparison.figures[pair]["icc"][0])


def candidates_table(comparison: Comparison) -> str:
    """One row for each candidate, the rule last."""
    head = (
        "| classifier | features | AUC | sensitivity | specificity | ICC(2,1) | kappa | "
        "mean error | mean absolute error | stroke-free at 10 |"
    )
    rows = [
        _candidate_row(CANDIDATES[name].title, SET_TITLES[features], figures)
        for (name, features), figures in comparison.figures.items()
    ]
    rows.append(_candidate_row("deterministic rule", "HU", comparison.rule))
    return "\n".join([head, "|---" * 10 + "|", *rows])


def _candidate_row(title: str, features: str, figures: Mapping[str, Any]) -> str:
    keys = ("sensitivity", "specificity", "icc", "kappa", "score_error_mean")
    cells = [
        title,
        features,
        _interval(figures["auc"]) if "auc" in figures else "",
        *(_interval(figures[key]) for key in (*keys, "score_error_abs_mean")),
        f"{figures['stroke_free_at_10']:.0%}",
    ]
    return "| " + " | ".join(cells) + " |"


def gains_table(comparison: Comparison) -> str:
    """What each richer feature set adds for each classifier."""
    if not comparison.gains:
        return "No pair of feature sets was compared."
    rows = [
        f"| {CANDIDATES[name].title} | {SET_TITLES[richer]} over {SET_TITLES[simpler]} | "
        f"{_signed(gain)} |"
        for (name, richer, simpler), gain in comparison.gains.items()
    ]
    return "\n".join(["| classifier | features | AUC added |", "|---|---|---|", *rows])


def regions_table(figures: Mapping[str, Any]) -> str:
    """Sensitivity, specificity and AUC of each region."""
    rows = [
        f"| {name} | {f['affected']} | {f['sensitivity']:.2f} | {f['specificity']:.3f} | "
        f"{f['auc']:.3f} |"
        for name, f in ((name, figures["by_region"][name]) for name in ASPECTS_REGIONS)
    ]
    head = ["| region | affected | sensitivity | specificity | AUC |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def settings_table(comparison: Comparison) -> str:
    """The setting of each outer fold."""
    rows = [
        f"| {_name(pair)} | {'; '.join(map(_setting, chosen))} |"
        for pair, chosen in comparison.chosen.items()
    ]
    return "\n".join(["| candidate | chosen in each outer fold |", "|---|---|", *rows])


def _name(pair: Pair) -> str:
    return f"{CANDIDATES[pair[0]].title}, {SET_TITLES[pair[1]]}"


def _setting(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in setting.items())


def _interval(figure: Figure) -> str:
    return f"{figure[0]:.2f} ({figure[1]:.2f} to {figure[2]:.2f})"


def _signed(figure: Figure) -> str:
    return f"{figure[0]:+.3f} ({figure[1]:+.3f} to {figure[2]:+.3f})"
