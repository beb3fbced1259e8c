"""The data card: what a data set holds, counted, as Markdown and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.datasets.examine import Examined
from willis_training.datasets.survey import Survey

PERCENTILES = (5, 25, 50, 75, 95)
NO_SITE = "(not given)"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SiteCount(_Frozen):
    """One site: its examinations, and the median volume of what is labelled."""

    site: str
    examinations: int
    median_lesion_ml: float | None


class RoleFacts(_Frozen):
    """The images of one role. Spacings (z, y, x) in mm; shapes (x, y, z) as stored."""

    role: str
    images: int
    spacing_min_mm: tuple[float, float, float]
    spacing_median_mm: tuple[float, float, float]
    spacing_max_mm: tuple[float, float, float]
    commonest_shapes: Mapping[str, int]
    orientations: Mapping[str, int]


class LabelFacts(_Frozen):
    """One label value: in how many maps it occurs, and its median volume there."""

    value: int
    name: str
    maps: int
    median_ml: float | None


class DataCard(_Frozen):
    """Everything the card says."""

    name: str
    intended_use: str = INTENDED_USE_STATEMENT
    examinations: int
    persons: int
    labelled: int
    hidden_labels: int
    empty_labels: int
    sites: tuple[SiteCount, ...]
    roles: tuple[RoleFacts, ...]
    labels: tuple[LabelFacts, ...]
    lesion_ml_percentiles: Mapping[int, float]
    faults: Mapping[str, int]


def data_card(survey: Survey) -> DataCard:
    """Count what a survey found."""
    examined = survey.examined
    volumes = [v for item in examined if (v := item.lesion_ml) is not None]
    return DataCard(
        name=survey.name,
        examinations=len(examined),
        persons=len({item.person_id for item in examined}),
        labelled=len(volumes),
        hidden_labels=sum(item.part == "testing" and item.label_ml is None for item in examined),
        empty_labels=sum(v == 0 for v in volumes),
        sites=_sites(examined),
        roles=_roles(examined),
        labels=_labels(examined, survey.label_names),
        lesion_ml_percentiles=_percentiles([v for v in volumes if v > 0]),
        faults=dict(sorted(Counter(fault.code.value for fault in survey.faults()).items())),
    )


def _sites(examined: Sequence[Examined]) -> tuple[SiteCount, ...]:
    by_site: dict[str, list[Examined]] = {}
    for item in examined:
        by_site.setdefault(item.site or NO_SITE, []).append(item)
    return tuple(
        SiteCount(
            site=site,
            examinations=len(items),
            median_lesion_ml=_median(v for item in items if (v := item.lesion_ml) is not None),
        )
        for site, items in sorted(by_site.items())
    )


def _roles(examined: Sequence[Examined]) -> tuple[RoleFacts, ...]:
    found = []
    for role in sorted({image.role for item in examined for image in item.images}):
        images = [image for item in examined for image in item.images if image.role == role]
        spacing = np.round([image.spacing_mm for image in images], 3)
        shapes = Counter(" x ".join(map(str, image.shape)) for image in images)
        found.append(
            RoleFacts(
                role=role,
                images=len(images),
                spacing_min_mm=_triple(spacing.min(axis=0)),
                spacing_median_mm=_triple(np.median(spacing, axis=0)),
                spacing_max_mm=_triple(spacing.max(axis=0)),
                commonest_shapes=dict(shapes.most_common(5)),
                orientations=dict(Counter(image.orientation for image in images).most_common()),
            )
        )
    return tuple(found)


def _labels(examined: Sequence[Examined], names: Mapping[int, str]) -> tuple[LabelFacts, ...]:
    maps = [item.label_ml for item in examined if item.label_ml is not None]
    values = sorted(set(names) - {0} | {value for volumes in maps for value in volumes})
    return tuple(
        LabelFacts(
            value=value,
            name=names.get(value, "(not declared)"),
            maps=sum(value in volumes for volumes in maps),
            median_ml=_median(volumes[value] for volumes in maps if value in volumes),
        )
        for value in values
    )


def _triple(values: Any) -> tuple[float, float, float]:
    z, y, x = (round(float(v), 3) for v in values)
    return z, y, x


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(float(np.median(known)), 3) if known else None


def _percentiles(values: Sequence[float]) -> dict[int, float]:
    if not values:
        return {}
    return {p: round(float(np.percentile(values, p)), 3) for p in PERCENTILES}


def card_markdown(card: DataCard, figure: str | None = None) -> str:
    """The card as a page; ``figure`` is the name of the picture beside it."""
    parts = [
        f"# Data card: {card.name}",
        INTENDED_USE_STATEMENT,
        _counts(card),
        *([f"![Volumes, spacings and sites]({figure})"] if figure else []),
        "## Images",
        _role_table(card.roles),
        "## Labels",
        _label_table(card),
        "## Sites",
        _table(
            ("site", "examinations", "median labelled mL"),
            ((s.site, s.examinations, _shown(s.median_lesion_ml)) for s in card.sites),
        ),
        "## Faults",
        _table(("code", "files"), card.faults.items())
        if card.faults
        else "None. `willis-train data check` looks for them.",
    ]
    return "\n\n".join(parts) + "\n"


def _counts(card: DataCard) -> str:
    rows = (
        ("examinations", card.examinations),
        ("persons", card.persons),
        ("with a label map", card.labelled),
        ("label map kept by the publisher", card.hidden_labels),
        ("label map without any label", card.empty_labels),
        ("sites", len([s for s in card.sites if s.site != NO_SITE])),
    )
    return _table(("", "count"), rows)


def _role_table(roles: Sequence[RoleFacts]) -> str:
    head = (
        "role",
        "images",
        "spacing z, y, x (mm): median",
        "from",
        "to",
        "orientations",
        "shapes",
    )
    rows = (
        (
            role.role,
            role.images,
            _spacing(role.spacing_median_mm),
            _spacing(role.spacing_min_mm),
            _spacing(role.spacing_max_mm),
            _counted(role.orientations),
            _counted(role.commonest_shapes),
        )
        for role in roles
    )
    return _table(head, rows)


def _label_table(card: DataCard) -> str:
    volumes = card.lesion_ml_percentiles
    rows = ((n.value, n.name, n.maps, _shown(n.median_ml)) for n in card.labels)
    table = _table(("value", "name", "maps", "median mL"), rows)
    if not volumes:
        return table
    names = "/".join(f"{p}" for p in volumes)
    values = " / ".join(f"{v:g}" for v in volumes.values())
    return f"{table}\n\nAll labels together, percentiles {names}: {values} mL."


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _spacing(values: Sequence[float]) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
