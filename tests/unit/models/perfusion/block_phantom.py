"""A head of ellipses with a skull, blocks of tissue of known flow, an artery and a sinus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from willis_models.volume import Array, DynamicStack, Floats

KAPPA_OVER_RHO = 0.73 / 1.05
FINE_STEP_S = 0.1


@dataclass(frozen=True)
class Tissue:
    """CBF mL/100 g/min, CBV mL/100 g, delay s, HU without contrast."""

    cbf: float
    cbv: float
    delay_s: float
    hu: float

    @property
    def mtt_s(self) -> float:
        return 60.0 * self.cbv / self.cbf


TISSUES = {
    "grey": Tissue(53.0, 3.3, 1.0, 37.0),
    "white": Tissue(25.0, 1.9, 1.0, 29.0),
    "penumbra": Tissue(16.0, 3.0, 6.0, 36.0),
    "core": Tissue(4.0, 0.7, 9.0, 34.0),
}


@dataclass(frozen=True)
class Phantom:
    dynamic: DynamicStack
    classes: Array
    artery_lps: Floats
    vein_lps: Floats

    def where(self, name: str) -> Array:
        return np.asarray(self.classes == list(TISSUES).index(name) + 1)


def artery_at(
    times_s: Array,
    arrival_s: float = 10.0,
    peak_hu: float = 300.0,
    second_s: float = np.inf,
) -> Array:
    """Gamma variate with a recirculation of about 18%, HU over the baseline; and the same again
    ``second_s`` later, where a second bolus was given."""

    def pass_(t: Array) -> Array:
        rise = np.maximum(t, 0.0)
        return np.asarray(rise**3 * np.exp(-rise / 1.5) / (4.5**3 * np.exp(-3.0)))

    def bolus(since_s: Array) -> Array:
        late = np.maximum(since_s - 8.0, 0.0)
        return np.asarray(pass_(since_s) + 0.12 * (1.0 - np.exp(-late / 4.0)))

    since_s = times_s - arrival_s
    return np.asarray(peak_hu * (bolus(since_s) + bolus(since_s - second_s)))


def tissue_at(tissue: Tissue, times_s: Array, **artery: float) -> Array:
    """Enhancement of a tissue whose residue is exponential, HU, at any times."""
    fine = np.arange(0.0, float(np.max(times_s)) + 1.0, FINE_STEP_S)
    residue = np.exp(-fine / tissue.mtt_s)
    inflow = artery_at(fine - tissue.delay_s, **artery)
    flow = tissue.cbf / 6000.0 / KAPPA_OVER_RHO
    curve = flow * np.convolve(inflow, residue)[: len(fine)] * FINE_STEP_S
    return np.interp(times_s, fine, curve)


def vein_at(times_s: Array, **artery: float) -> Array:
    """The artery's bolus, later and wider, with the same area."""
    fine = np.arange(0.0, float(np.max(times_s)) + 1.0, FINE_STEP_S)
    spread = np.exp(-fine / 2.0)
    curve = np.convolve(artery_at(fine - 4.0, **artery), spread / spread.sum())[: len(fine)]
    return np.interp(times_s, fine, curve)


def frame_times(step_s: float = 1.5, length_s: float = 60.0, slices: int = 4) -> Array:
    """All slices of a frame at once."""
    times = np.arange(0.0, length_s + 1e-6, step_s)
    return np.repeat(times[:, None], slices, axis=1)


def make_phantom(
    times_s: Array | None = None,
    *,
    pixels: int = 128,
    step_mm: float = 8.0,
    noise_hu: float = 0.0,
    field_mm: float = 220.0,
    seed: int = 0,
    arrival_s: float = 10.0,
    peak_hu: float = 300.0,
    second_s: float = np.inf,
    dtype: type = np.int16,
) -> Phantom:
    """The lesion lies on the patient's left; rows run to posterior, columns to the left."""
    times = frame_times() if times_s is None else times_s
    slices, pixel = times.shape[1], field_mm / pixels
    z, y, x = np.meshgrid(
        (np.arange(slices) - (slices - 1) / 2) * step_mm,
        (np.arange(pixels) - (pixels - 1) / 2) * pixel,
        (np.arange(pixels) - (pixels - 1) / 2) * pixel,
        indexing="ij",
    )
    radius = np.sqrt((x / 72) ** 2 + (y / 88) ** 2 + (z / 110) ** 2)
    classes = np.zeros(radius.shape, np.uint8)
    classes[radius < 1] = 1
    classes[radius < 0.8] = 2
    classes[(radius < 0.9) & (x > 25) & (np.abs(y) < 35)] = 3
    classes[(radius < 0.9) & (x > 38) & (np.abs(y) < 20)] = 4
    csf = (radius < 1) & (np.abs(x) < 5) & (np.abs(y) < 20)
    artery = (radius < 1) & (np.hypot(x + 22, y + 25) < 2.6)
    sinus = (radius < 1) & (np.hypot(x, y - 82) < 4.5)
    classes[csf | artery | sinus] = 0
    still = np.full(radius.shape, -1000.0, np.float32)
    still[radius < 1.22] = 40.0
    still[radius < 1.12] = 1000.0
    still[radius < 1] = 40.0
    still[csf] = 6.0
    for number, tissue in enumerate(TISSUES.values(), start=1):
        still[classes == number] = tissue.hu
    frames = np.repeat(still[None], len(times), axis=0)
    bolus = {"arrival_s": arrival_s, "peak_hu": peak_hu, "second_s": second_s}
    for k in range(slices):
        t = times[:, k]
        for number, tissue in enumerate(TISSUES.values(), start=1):
            frames[:, k, classes[k] == number] += tissue_at(tissue, t, **bolus)[:, None]
        frames[:, k, artery[k]] += artery_at(t, **bolus)[:, None]
        frames[:, k, sinus[k]] += vein_at(t, **bolus)[:, None]
    if noise_hu:
        draw = np.random.default_rng(seed)
        for frame in frames:
            frame += noise_hu * draw.standard_normal(frame.shape, dtype=np.float32)
    origin = np.array([x.min(), y.min(), z.min()])
    origins = origin + np.arange(slices)[:, None] * np.array([0.0, 0.0, step_mm])
    dynamic = DynamicStack(
        np.round(frames).astype(dtype) if np.issubdtype(dtype, np.integer) else frames,
        times,
        origins,
        np.array([pixel, 0.0, 0.0]),
        np.array([0.0, pixel, 0.0]),
    )
    return Phantom(dynamic, classes, np.array([-22.0, -25.0, 0.0]), np.array([0.0, 82.0, 0.0]))
