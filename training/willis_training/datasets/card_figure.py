"""The picture of a data card: volumes, spacings and sites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from willis_training.datasets.card import NO_SITE
from willis_training.datasets.survey import Survey

MOST_SITES = 40


def draw_card(survey: Survey, path: Path) -> None:
    """Write the figure of a surveyed data set as PNG."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    volumes, spacings, sites = figure.subplots(1, 3)
    _volumes(volumes, survey)
    _spacings(spacings, survey)
    _sites(sites, survey)
    figure.suptitle(f"{survey.name}: {len(survey.examined)} examinations", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _volumes(axes: Axes, survey: Survey) -> None:
    volumes = [v for item in survey.examined if (v := item.lesion_ml)]
    axes.set_title("What is labelled", fontsize=10)
    axes.set_xlabel("volume (mL)")
    axes.set_ylabel("examinations")
    if not volumes:
        axes.text(0.5, 0.5, "no labels", ha="center", transform=axes.transAxes)
        return
    low, high = np.log10(min(volumes)) - 0.1, np.log10(max(volumes)) + 0.1
    axes.hist(volumes, bins=list(np.logspace(low, high, 25)), color="#0072b2")
    axes.set_xscale("log")


def _spacings(axes: Axes, survey: Survey) -> None:
    axes.set_title("Voxels", fontsize=10)
    for role in sorted({image.role for item in survey.examined for image in item.images}):
        spacing = [i.spacing_mm for item in survey.examined for i in item.images if i.role == role]
        in_plane = [(y * x) ** 0.5 for _, y, x in spacing]
        axes.scatter(in_plane, [z for z, _, _ in spacing], s=14, alpha=0.5, label=role)
    axes.set_xlabel("spacing in the axial plane (mm)")
    axes.set_ylabel("spacing along z (mm)")
    if axes.has_data():
        axes.legend(fontsize=8)


def _sites(axes: Axes, survey: Survey) -> None:
    names = [item.site or NO_SITE for item in survey.examined]
    found, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts)[:MOST_SITES]
    axes.bar(np.arange(len(order)), counts[order], color="#009e73")
    axes.set_xticks(np.arange(len(order)), found[order], rotation=90, fontsize=7)
    axes.set_title("Sites", fontsize=10)
    axes.set_ylabel("examinations")
