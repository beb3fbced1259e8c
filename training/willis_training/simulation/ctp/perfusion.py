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
)
from willis_training.simulation.ctp.enhancement import Painter
from willis_training.simulation.ctp.head import ORBITAL_FAT, PerfusionHead
from willis_training.simulation.ctp.parameters import draw, value
from willis_training.simulation.ctp.protocol import Motion, Protocol, draw_motion
from willis_training.simulation.ctp.scene import (
    Scene,
    brain_stack,
    draw_states,
    slab_of,
)
from willis_training.simulation.ctp.stroke import PerfusionStroke
from willis_training.simulation.ctp.truth import TrueMaps, Truth, true_maps, truth_on
from willis_training.simulation.ncct import ct_noise, draw_warp
from willis_training.simulation.tissue import draw_attenuation

Floats = NDArray[np.float32]

_NCCT_NOISE_SHARE = 0.6
_HIGHEST_HU = 3071.0


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
    room = _Room(scene, protocol, contrast, Painter(contrast))
    frames, maps = _scan(room, slab, times_s, motion, rng)
    ncct, cta = _still_images(room, whole, angiography, rng)
    return SimulatedPerfusion(
        dynamic=DynamicStack.like(slab, frames, times_s),
        ncct=ncct,
        cta=cta,
        truth=truth_on(slab, maps, scene, stroke),
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
    protocol: Protocol
    contrast: Contrast
    painter: Painter


def _scan(
    room: _Room,
    slab: SliceStack,
    times_s: NDArray[np.float64],
    motion: Motion,
    rng: np.random.Generator,
) -> tuple[NDArray[Any], list[TrueMaps]]:
    """All frames, slice by slice, and the maps of each slice in the head's first position."""
    protocol = room.protocol
    frames = np.empty((len(times_s), *slab.shape), _stored_type(protocol))
    noise_hu = protocol.scanner.noise_hu * noise_share(slab.pixel_spacing_mm[0])
    maps = []
    for k in range(len(slab.voxels)):
        for number, pose in enumerate(motion.poses):
            chosen = np.flatnonzero(motion.of_frame == number)
            if number and not len(chosen):
                continue
            view = room.scene.view(slab, k, pose if number else None)
            if not number:
                maps.append(true_maps(view))
            added = room.painter.enhancement(view, times_s[chosen, k])
            for t, extra in zip(chosen, added, strict=True):
                noise = ct_noise(view.hu.shape, slab.pixel_spacing_mm[0], rng)
                frames[t, k] = _stored(view.hu + extra + noise_hu * noise, protocol)
    return frames, maps


def _stored_type(protocol: Protocol) -> type[np.int16] | type[np.float32]:
    return np.int16 if protocol.whole_hu else np.float32


def _stored(hu: Floats, protocol: Protocol) -> Floats:
    clipped = np.clip(hu, AIR_HU, _HIGHEST_HU)
    return np.rint(clipped) if protocol.whole_hu else clipped


def _still_images(
    room: _Room, whole: SliceStack, angiography: bool, rng: np.random.Generator
) -> tuple[SliceStack, SliceStack | None]:
    """The plain CT, and one at the arteries' peak."""
    curve = room.contrast.bolus.curve(room.contrast.clock_s)
    peak_s = room.contrast.clock_s[[int(curve.argmax())]]
    pixel = whole.pixel_spacing_mm[0]
    sd = room.protocol.scanner.noise_hu * noise_share(pixel) * _NCCT_NOISE_SHARE
    plain = np.empty(whole.shape, _stored_type(room.protocol))
    filled = plain.copy() if angiography else None
    for k in range(len(plain)):
        view = room.scene.view(whole, k)
        noise = sd * ct_noise(view.hu.shape, pixel, rng)
        plain[k] = _stored(view.hu + noise, room.protocol)
        if filled is not None:
            noise = sd * ct_noise(view.hu.shape, pixel, rng)
            extra = room.painter.enhancement(view, peak_s)[0]
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
