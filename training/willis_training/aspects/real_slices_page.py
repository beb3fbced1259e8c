"""The page's part about single slices, and what stands against them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from willis_models.findings import State
from willis_models.pipelines.aspects.states import RegionState
from willis_training.aspects.expert_masks import (
    COVERED_SHARE,
    Counts,
    JudgedSlice,
    RegionOnSlice,
    UnusableSlice,
    count,
)

TRUTHS: dict[str, Callable[[RegionOnSlice], float]] = {
    "core or penumbra": lambda region: region.ischaemic_share,
    "core alone": lambda region: region.core_share,
}
JUDGES: dict[str, Callable[[RegionState], State]] = {
    "classifier": lambda found: found.state,
    "deterministic rule": lambda found: found.rule,
}


def slices_part(
    judged: Sequence[JudgedSlice], unusable: Sequence[UnusableSlice], picture: str
) -> str:
    """Pictures, placement, agreement, sides and calls."""
    parts = [
        _slices_introduction(judged, len(judged) + len(unusable)),
        f"![Every slice with regions and expert outlines](images/{picture})",
    ]
    if unusable:
        parts.append("\n".join(f"- {item.name} was not usable: {item.reason}" for item in unusable))
    if judged:
        parts += [_placement_table(judged), _agreement_part(judged), _sides_part(judged)]
        parts.append(_calls_table(judged))
    return "\n\n".join(parts)


def _slices_introduction(judged: Sequence[JudgedSlice], total: int) -> str:
    medians = [item.grey_quantiles[1] for item in judged] or [float("nan")]
    lows = [item.grey_quantiles[0] for item in judged] or [float("nan")]
    return f"""## Single slices with an expert's outlines

{total} slices of hyperacute strokes with the core and the penumbra that an expert outlined; several
plainly come from one and the same head (10142 and 10145, for example). They are far from what the
pipeline is made for, and the service would refuse them. What stands against them, and what was
done:

- **One slice is no volume.** The slice was compared with planes cut through the bundle's template
  at many heights and pitches and laid where it agrees best (outline and inside), by an affine
  transform within the plane. A head that lay tilted to one side stays so: then the two halves of
  the slice show different heights, and mirrored regions differ without any disease.
- **No HU.** The 8-bit grey values come without a scale. Within the brains their median lies at
  {min(medians):.0f}-{max(medians):.0f} and their 2% quantile at {min(lows):.0f}-{max(lows):.0f}, as
  HU clipped to 0-255 would; they are taken as HU unchanged.
- **No geometry.** Pixel size, slice thickness and side are unknown. The viewer's left is taken as
  the patient's right; a comparison with the other side does not depend on it.
- **Out of the network's training.** It gets the slice as a slab of 6 mm inside the template's
  brain; only what lies in the slab is used. How far its regions then agree with the template's
  atlas at the same place, the table shows, and beside it the same for the bare slab with nothing
  around it. {_median_dice(judged)}
- Early ischaemia is often invisible on non-contrast CT, penumbra nearly always; the outlines were
  drawn with more knowledge than the slice holds. Missing it here is not always an error of the
  network, and finding it not always its merit.
- Regions of one slice are not independent, and {total} slices are few: the figures are counts, and
  no interval is given."""


def _median_dice(judged: Sequence[JudgedSlice]) -> str:
    """In words, or nothing where no slice shows a region."""
    around = [item.found.atlas_dice for item in judged if item.found.atlas_dice is not None]
    bare = [item.found.bare_dice for item in judged if item.found.bare_dice is not None]
    if not around or not bare:
        return ""
    return f"Median Dice {median(around):.2f} inside the template, {median(bare):.2f} alone."


def _placement_table(judged: Sequence[JudgedSlice]) -> str:
    head = (
        "| slice | MNI z mm | pitch | agreement | pixel mm | regions | assessable "
        "| Dice with the atlas | without surroundings |"
    )
    rows = [_placement_row(item) for item in judged]
    empty = [item.name for item in judged if not item.regions]
    below = f"No region lies on: {', '.join(empty)}." if empty else ""
    return "\n".join([head, "|---|" + "---|" * 8, *rows, "", below])


def _placement_row(item: JudgedSlice) -> str:
    rows_mm, columns_mm = item.placed.stack.pixel_spacing_mm
    assessable = sum(r.found.state != "not_assessable" for r in item.regions)
    return (
        f"| {item.name} | {item.placed.level_mm:.0f} | {item.placed.pitch_deg:.0f} "
        f"| {item.placed.agreement:.2f} | {rows_mm:.2f} x {columns_mm:.2f} "
        f"| {len(item.regions)} | {assessable} | {number_or_dash(item.found.atlas_dice, '.2f')} "
        f"| {number_or_dash(item.found.bare_dice, '.2f')} |"
    )


def _agreement_part(judged: Sequence[JudgedSlice]) -> str:
    rows = [
        f"| {truth} | {judge} | {_share(c.hits, c.affected)} "
        f"| {_share(c.rejections, c.unaffected)} |"
        for truth, share in TRUTHS.items()
        for judge, state in JUDGES.items()
        for c in [count(judged, share, state)]
    ]
    main = count(judged, TRUTHS["core or penumbra"], JUDGES["classifier"])
    return "\n".join(
        [
            f"Assessable regions; affected means that the expert's outline covers at least "
            f"{COVERED_SHARE:.0%} of the region on the slice.",
            "",
            "| outline | called by | sensitivity | specificity |",
            "|---|---|---|---|",
            *rows,
            "",
            _verdict(main),
        ]
    )


def _verdict(c: Counts) -> str:
    """Better than guessing or not: sensitivity against the false alarm rate."""
    if not c.affected or not c.unaffected:
        return "There is nothing to compare: no region is affected, or none is unaffected."
    alarms = c.unaffected - c.rejections
    hit_rate, alarm_rate = c.hits / c.affected, alarms / c.unaffected
    said = (
        f"The classifier called {c.hits} of {c.affected} affected regions ({hit_rate:.0%}) and "
        f"{alarms} of {c.unaffected} others ({alarm_rate:.0%})"
    )
    if hit_rate <= alarm_rate:
        return f"{said}: **no better than chance on these slices.**"
    missed = c.affected - c.hits
    return f"{said}: more often inside the outlines than outside, and {missed} were missed."


def _sides_part(judged: Sequence[JudgedSlice]) -> str:
    one_sided = [item for item in judged if item.expert_side != "both"]
    by_model = [item for item in one_sided if item.model_side is not None]
    by_hu = [item for item in one_sided if item.darker_side is not None]
    agree = sum(item.model_side == item.expert_side for item in by_model)
    darker = sum(item.darker_side == item.expert_side for item in by_hu)
    return (
        f"Of {len(one_sided)} slices outlined on one side, {len(by_model)} have assessable "
        f"regions. The side with more summed probability is the expert's in {agree} of "
        f"{len(by_model)}, the darker side (HU difference summed over the regions' voxels) in "
        f"{darker} of {len(by_hu)}. Guessing would give half."
    )


def _calls_table(judged: Sequence[JudgedSlice]) -> str:
    head = (
        "| slice | expert's side | side of more probability | at least 20% outlined | called "
        "| called by the rule |"
    )
    note = "Assessable regions only; bold where the expert outlined at least 20%."
    return "\n".join([note, "", head, "|---|" + "---|" * 5, *(_calls_row(item) for item in judged)])


def _calls_row(item: JudgedSlice) -> str:
    known = [r for r in item.regions if r.found.state != "not_assessable"]
    outlined = [
        f"{r.name} {r.ischaemic_share:.0%}" for r in known if r.ischaemic_share >= COVERED_SHARE
    ]
    called = [_marked(r) for r in known if r.found.state == "affected"]
    rule = [_marked(r) for r in known if r.found.rule == "affected"]
    lists = (", ".join(names) or "-" for names in (outlined, called, rule))
    return f"| {item.name} | {item.expert_side} | {item.model_side or '-'} | {' | '.join(lists)} |"


def _marked(region: RegionOnSlice) -> str:
    """A called region, bold where the expert outlined it."""
    return f"**{region.name}**" if region.ischaemic_share >= COVERED_SHARE else region.name


def _share(part: int, total: int) -> str:
    return f"{part}/{total} ({part / total:.0%})" if total else "-"


def number_or_dash(value: float | None, form: str) -> str:
    """The number in its format, or a dash where there is none."""
    return "-" if value is None else f"{value:{form}}"
