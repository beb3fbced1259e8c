"""Simulated CT perfusion: frames, truth, and the plain and arterial CT of the same head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.resample import AIR_HU
from willis_models.volume import DynamicStack, SliceStack
from willis_training.simulation.ctp.curves import (
    Bolus,
    Contrast,
    draw_bolus,
    draw_contrast,
    look_up,
)
from willis_training.simulation.ctp.head import ORBITAL_FAT, PerfusionHead
from willis_training.simulation.ctp.parameters import draw, value
from willis_training.simulation.ctp.protocol import Motion, Protocol, draw_motion
from willis_training.simulation.ctp.scene import (
    Scene,
    SliceView,
    brain_stack,
    draw_states,
    slab_of,
)
from willis_training.simulation.ctp.stroke import PerfusionStroke
from willis_training.simulation.ncct import ct_noise, draw_warp
from willis_training.simulation.tissue import draw_attenuation

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_TISSUE_SHARE = 0.02
_BRAIN_SHARE = 0.5
_CLOSED_FLOW = 0.1
_CLOSED_DELAY_S = 8.0
_SOFT_DELAY_S = 3.0
_NCCT_NOISE_SHARE = 0.6
_HIGHEST_HU = 3071.0


@dataclass(frozen=True)
class Truth:
    """What was put in, on the native slices (z, y, x).

    ``cbf`` mL/100g/min, ``cbv`` mL/100g, ``mtt`` and ``delay_s`` seconds; 0 outside brain tissue.
    ``brain`` voxels that are mostly brain tissue; the other masks lie within it.
    """

    cbf: Floats
    cbv: Floats
    mtt: Floats
    delay_s: Floats
    brain: Mask
    core: Mask
    penumbra: Mask
    final_infarct: Mask


@dataclass(frozen=True)
class SimulatedPerfusion:
    """A CT perfusion study of a patient who does not exist.

    ``ncct`` and ``cta`` cover the whole brain; ``settings`` says what was drawn.
    """

    dynamic: DynamicStack
    ncct: SliceStack
    cta: SliceStack | None
    truth: Truth
    protocol: Protocol
    motion: Motion
    settings: dict[str, Any]


def simulate_perfusion(
    head: PerfusionHead,
    protocol: Protocol,
    rng: np.random.Generator,
    stroke: PerfusionStroke | None = None,
    *,
    bolus: Bolus | None = None,
    angiography: bool = True,
) -> SimulatedPerfusion:
    """Scan a head while contrast passes. The same generator state gives the same study."""
    bolus = bolus or draw_bolus(rng, twice=protocol.two_boluses)
    times_s = protocol.times_s(rng)
    contrast = draw_contrast(rng, float(times_s.max()), bolus)
    motion = draw_motion(protocol, len(times_s), rng)
    darkening = draw("hypodensity_hu_h", rng) * (stroke.course.onset_h if stroke else 0.0)
    scene = Scene(
        head=head,
        scanner=protocol.scanner,
        warp=draw_warp(head.anatomy, rng) if head.anatomy is not None else None,
        states=draw_states(head, stroke, darkening, rng),
        hu_of_label=_attenuation(rng),
    )
    whole = brain_stack(head, protocol.scanner)
    slab = slab_of(whole, head, protocol.scanner, protocol.slices, protocol.raised_mm)
    times_s = times_s[:, : slab.shape[0]]
    frames, truth = _scan(_Room(scene, contrast, protocol), slab, times_s, motion, stroke, rng)
    ncct, cta = _still_images(_Room(scene, contrast, protocol), whole, angiography, rng)
    return SimulatedPerfusion(
        dynamic=DynamicStack.like(slab, frames, times_s),
        ncct=ncct,
        cta=cta,
        truth=truth,
        protocol=protocol,
        motion=motion,
        settings=_settings(protocol, contrast, stroke, motion),
    )


def _attenuation(rng: np.random.Generator) -> Floats:
    """HU of each label without contrast."""
    hu = draw_attenuation(rng).hu.copy()
    hu[ORBITAL_FAT] = value("fat_hu")
    return hu


@dataclass(frozen=True)
class _Room:
    scene: Scene
    contrast: Contrast
    protocol: Protocol


def _scan(
    room: _Room,
    slab: SliceStack,
    times_s: NDArray[np.float64],
    motion: Motion,
    stroke: PerfusionStroke | None,
    rng: np.random.Generator,
) -> tuple[NDArray[Any], Truth]:
    """All frames, slice by slice, and the truth in the first position of the head."""
    protocol = room.protocol
    count, (_, rows, columns) = len(times_s), slab.shape
    frames = np.empty(
        (count, len(slab.voxels), rows, columns), np.int16 if protocol.whole_hu else np.float32
    )
    painter = _Painter(room.contrast)
    noise_hu = protocol.scanner.noise_hu * noise_share(slab.pixel_spacing_mm[0])
    maps = []
    for k in range(len(slab.voxels)):
        for number, pose in enumerate(motion.poses):
            chosen = np.flatnonzero(motion.of_frame == number)
            if number and not len(chosen):
                continue
            view = room.scene.view(slab, k, pose if number else None)
            if not number:
                maps.append(_true_maps(view))
            added = painter.enhancement(view, times_s[chosen, k])
            for t, extra in zip(chosen, added, strict=True):
                noise = ct_noise(view.hu.shape, slab.pixel_spacing_mm[0], rng)
                frames[t, k] = _stored(view.hu + extra + noise_hu * noise, protocol)
    return frames, _truth(maps, room.scene, slab, stroke)


def _stored(hu: Floats, protocol: Protocol) -> Floats:
    clipped = np.clip(hu, AIR_HU, _HIGHEST_HU)
    return np.rint(clipped) if protocol.whole_hu else clipped


class _Painter:
    """Enhancement of a slice at some times."""

    def __init__(self, contrast: Contrast) -> None:
        self._contrast = contrast
        self._grey = contrast.tissue(contrast.grey)
        self._white = contrast.tissue(contrast.white)

    def enhancement(self, view: SliceView, times_s: NDArray[np.float64]) -> Floats:
        """HU added by contrast, (F, y, x)."""
        total = np.zeros((view.hu.size, len(times_s)), np.float32)
        for share, table, tissue in (
            (view.grey, self._grey, "grey"),
            (view.white, self._white, "white"),
        ):
            at = np.flatnonzero(share.ravel() > _TISSUE_SHARE)
            cbf, _, mtt, delay = (one.ravel()[at] for one in tissue_state(view, tissue))
            total[at] += (share.ravel()[at] * cbf)[:, None] * look_up(table.at(times_s), delay, mtt)
        self._add_vessels(total, view, times_s)
        slow = np.array([_SOFT_DELAY_S], np.float32), np.array([value("soft_mtt_s")], np.float32)
        soft = look_up(self._white.at(times_s), *slow)
        at = np.flatnonzero(view.soft.ravel() > _TISSUE_SHARE)
        total[at] += (view.soft.ravel()[at] * np.float32(value("soft_cbf")))[:, None] * soft
        return np.moveaxis(total.reshape(*view.hu.shape, -1), -1, 0)

    def _add_vessels(self, total: Floats, view: SliceView, times_s: NDArray[np.float64]) -> None:
        arterial = self._contrast.arterial.at(times_s)
        for share, closed in ((view.artery, False), (view.closed_trunk, True)):
            at = np.flatnonzero(share.ravel() > 0)
            severity = view.severity.ravel()[at]
            delay = np.interp(severity, (0, 1, 2), (0.0, 3.0, 7.0)).astype(np.float32)
            flow = np.interp(severity, (0, 1, 2), (1.0, 0.75, 0.3)).astype(np.float32)
            if closed:
                delay, flow = np.full_like(delay, _CLOSED_DELAY_S), np.full_like(flow, _CLOSED_FLOW)
            total[at] += (share.ravel()[at] * flow)[:, None] * look_up(arterial, delay, None)
        venous = np.interp(
            times_s, self._contrast.clock_s, self._contrast.venous.astype(np.float64)
        )
        at = np.flatnonzero(view.vein.ravel() > 0)
        total[at] += view.vein.ravel()[at][:, None] * venous.astype(np.float32)


def tissue_state(view: SliceView, tissue: str) -> tuple[Floats, Floats, Floats, Floats]:
    """CBF (mL/100g/min), CBV (mL/100g), MTT (s) and delay (s) of a slice's grey or white matter."""
    levels = (0.0, 1.0, 2.0)

    def between(name: str) -> Floats:
        ends = [value(f"{tissue}_{name}_{state}") for state in ("normal", "reduced", "severe")]
        return np.interp(view.severity, levels, ends).astype(np.float32)

    logs = [np.log(value(f"{tissue}_cbf_{state}")) for state in ("normal", "reduced", "severe")]
    cbf = np.exp(np.interp(view.severity, levels, logs)).astype(np.float32)
    mtt = np.maximum(60.0 * between("cbv") / cbf + view.mtt_jitter, 1.5)
    cbf = cbf * np.clip(1.0 + view.cbf_jitter, 0.4, 1.6)
    return cbf, cbf * mtt / 60.0, mtt, between("delay")


def _true_maps(view: SliceView) -> tuple[Floats, Floats, Floats, Floats, Mask]:
    """CBF, CBV, MTT, delay and brain of a slice: flow and volume add up over grey and white."""
    grey, white = tissue_state(view, "grey"), tissue_state(view, "white")
    cbf = view.grey * grey[0] + view.white * white[0]
    cbv = view.grey * grey[1] + view.white * white[1]
    flow = np.maximum(cbf, 1e-6)
    delay = (view.grey * grey[0] * grey[3] + view.white * white[0] * white[3]) / flow
    brain = view.grey + view.white > _BRAIN_SHARE
    maps = (
        np.where(brain, one, 0).astype(np.float32) for one in (cbf, cbv, 60 * cbv / flow, delay)
    )
    a, b, c, d = maps
    return a, b, c, d, brain


def _truth(
    maps: list[tuple[Floats, Floats, Floats, Floats, Mask]],
    scene: Scene,
    slab: SliceStack,
    stroke: PerfusionStroke | None,
) -> Truth:
    cbf, cbv, mtt, delay, brain = (np.stack(one) for one in zip(*maps, strict=True))

    def on_slices(coarse: Mask | None) -> Mask:
        if coarse is None:
            return np.zeros(brain.shape, bool)
        seen = np.stack([scene.mask(coarse, slab, k) for k in range(len(brain))])
        return np.asarray(seen & brain)

    core = on_slices(stroke.core if stroke else None)
    hypoperfused = on_slices(stroke.core | stroke.penumbra if stroke else None)
    final = on_slices(stroke.final_infarct if stroke else None)
    return Truth(cbf, cbv, mtt, delay, brain, core, hypoperfused & ~core, final)


def _still_images(
    room: _Room, whole: SliceStack, angiography: bool, rng: np.random.Generator
) -> tuple[SliceStack, SliceStack | None]:
    """The plain CT, and one at the arteries' peak."""
    painter = _Painter(room.contrast)
    curve = room.contrast.bolus.curve(room.contrast.clock_s)
    peak_s = room.contrast.clock_s[[int(curve.argmax())]]
    pixel = whole.pixel_spacing_mm[0]
    sd = room.protocol.scanner.noise_hu * noise_share(pixel) * _NCCT_NOISE_SHARE
    plain = np.empty(whole.shape, np.int16 if room.protocol.whole_hu else np.float32)
    filled = plain.copy() if angiography else None
    for k in range(len(plain)):
        view = room.scene.view(whole, k)
        noise = sd * ct_noise(view.hu.shape, pixel, rng)
        plain[k] = _stored(view.hu + noise, room.protocol)
        if filled is not None:
            noise = sd * ct_noise(view.hu.shape, pixel, rng)
            extra = painter.enhancement(view, peak_s)[0]
            filled[k] = _stored(view.hu + extra + noise, room.protocol)
    return whole.with_voxels(plain), None if filled is None else whole.with_voxels(filled)


@lru_cache(maxsize=64)
def noise_share(pixel_mm: float) -> float:
    """SD of the noise of a pixel that is a mean over ``pixel_mm``, over that of a native one.

    The noise's power spectrum is that of `ct_noise`; averaging multiplies it by sinc^2 a side.
    """
    native = value("native_pixel_mm")
    if pixel_mm <= native:
        return 1.0
    f = np.fft.fftfreq(512, native)
    fy, fx = np.meshgrid(f, f, indexing="ij")
    radius = np.hypot(fy, fx)
    power = radius * np.exp(-2 * (radius / 0.5) ** 2)
    kept = power * (np.sinc(fy * pixel_mm) * np.sinc(fx * pixel_mm)) ** 2
    return float(np.sqrt(kept.sum() / power.sum()))


def _settings(
    protocol: Protocol, contrast: Contrast, stroke: PerfusionStroke | None, motion: Motion
) -> dict[str, Any]:
    shifts = [float(np.linalg.norm(pose.shift_mm)) for pose in motion.poses]
    found: dict[str, Any] = {
        "dt_s": protocol.dt_s,
        "duration_s": protocol.duration_s,
        "shuttle": protocol.shuttle,
        "thickness_mm": protocol.scanner.thickness_mm,
        "noise_hu": protocol.scanner.noise_hu,
        "largest_shift_mm": max(shifts),
        **{key: each for key, each in vars(contrast.bolus).items()},
        "dispersion_share": contrast.dispersion_share,
        "venous_transit_s": contrast.venous_transit_s,
    }
    if stroke is not None:
        found |= {"lesion": stroke.lesion, "closed_trunk": stroke.trunk, **vars(stroke.course)}
    return found
