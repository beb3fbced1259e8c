"""How regions and lesions look: colour, line and hatching, each enough without the other two.

The colours are from Okabe and Ito's set, which readers with any colour vision can tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from willis_models.findings import State


@dataclass(frozen=True)
class Look:
    """Line, hatching and filling of a contour; ``dash_px`` 0 is a solid line."""

    title: str
    colour: tuple[int, int, int]
    width_px: float
    dash_px: int = 0
    hatched: bool = False
    tint: float = 0.0
    """How much of the colour lies over the image inside, 0 to 1."""

    @property
    def css(self) -> str:
        """The colour for a style sheet."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


LOOKS: dict[State, Look] = {
    "affected": Look("affected", (255, 122, 47), 3.2, hatched=True),
    "indeterminate": Look("indeterminate", (240, 228, 66), 2.4, dash_px=9),
    "not_assessable": Look("not assessable", (190, 190, 190), 1.8, dash_px=4),
    "unaffected": Look("unaffected", (86, 180, 233), 1.5),
}

LESIONS: dict[str, Look] = {
    "core": Look("core, rCBF < 30%", (255, 122, 47), 2.4, hatched=True, tint=0.5),
    "penumbra": Look("penumbra, Tmax > 6 s", (86, 180, 233), 1.8, tint=0.35),
    "predicted_infarct": Look("predicted final infarct", (240, 228, 66), 2.6, dash_px=7, tint=0.22),
}
