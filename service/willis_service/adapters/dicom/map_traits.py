"""Ready perfusion maps: which map a derived series is, and the unit of its values.

What a map is, is stated by (in this order) the quantity of a real world value mapping, a value of
ImageType, or SeriesDescription. Its unit must be stated too: by the mapping's units, RescaleType,
or in brackets of the description. Without any the map is refused: makers scale their maps each in
their own way, and a wrong unit moves every threshold.

Sources: PS3.3 C.8.16.1.4 (derived pixel contrast RCBF, RCBV, MTT, TTP), PS3.17 QQQ.1 (ImageType
DERIVED, SECONDARY, PERFUSION and the parameter), PS3.16 DCM 113052, 113055, 113056, 113069,
113084; names such as ``RAPID_rCBF`` and ``RAPID_Tmax_[s]`` as public conversion scripts list them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import ParametricMapStorage

from willis_models.codes import MAP_UNITS, MAPS
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.files import SeriesListing

OWN_MANUFACTURER = "Willis"
# Some makers give flow and volume for 100 mL of tissue: brain weighs 1.05 g/mL.
_BRAIN_G_ML = 1.05

_BY_CODE = {code.value: key for key, code in MAPS.items()}
_BY_TYPE = {
    **dict.fromkeys(("CBF", "RCBF"), "cbf"),
    **dict.fromkeys(("CBV", "RCBV"), "cbv"),
    **dict.fromkeys(("MTT", "RMTT"), "mtt"),
    "TTP": "ttp",
    "TMAX": "tmax",
}
_BY_WORDS = {
    "cbf": re.compile(r"\bR?CBF\b|\bBLOOD FLOW\b"),
    "cbv": re.compile(r"\bR?CBV\b|\bBLOOD VOLUME\b"),
    "mtt": re.compile(r"\bR?MTT\b|\bMEAN TRANSIT TIME\b"),
    "tmax": re.compile(r"\bT ?MAX\b|\bTIME TO MAX(IMUM)?\b"),
    "ttp": re.compile(r"\bTTP\b|\bTIME TO PEAK\b"),
}
_IN_BRACKETS = re.compile(r"\[([^\]]+)\]|\(([^)]+)\)")
_UNITS: dict[str, tuple[tuple[re.Pattern[str], float], ...]] = {
    MAP_UNITS["cbf"]: (
        (re.compile(r"ml/?\(?100\.?g[*./]?/?min\)?|ml/\(?100\.?g\)/min|ml/min/\(?100\.?g\)?"), 1.0),
        (
            re.compile(r"ml/\(?100\.?ml[*./]?/?min\)?|ml/\(?100\.?ml\)/min|ml/min/\(?100\.?ml\)?"),
            1.0 / _BRAIN_G_ML,
        ),
    ),
    MAP_UNITS["cbv"]: (
        (re.compile(r"ml/\(?100\.?g\)?"), 1.0),
        (re.compile(r"ml/\(?100\.?ml\)?"), 1.0 / _BRAIN_G_ML),
    ),
    MAP_UNITS["tmax"]: (
        (re.compile(r"s|sec|secs|seconds?"), 1.0),
        (re.compile(r"ms|msec|milliseconds?"), 1e-3),
        (re.compile(r"0\.1s(ec)?|1/10s(ec)?|s/10|ds"), 0.1),
    ),
}


@dataclass(frozen=True)
class MapTraits:
    """Which map a series is. ``factor`` takes its values to the UCUM unit of ``MAP_UNITS``.

    None where the unit is not stated, or not known; ``stated`` is then what was found.
    """

    key: str
    factor: float | None
    stated: str | None = None

    @property
    def unit(self) -> str:
        """The UCUM unit that the values are brought to."""
        return MAP_UNITS[self.key]


def map_of(listing: SeriesListing) -> MapTraits | None:
    """Which map a series is; None where it is none, or says several."""
    if not listing.is_readable:
        return None
    header = listing.headers[0]
    key = _key(header)
    if key is None:
        return None
    stated = _stated_units(header)
    known = (factor_of(text, key) for text in stated)
    factor = next((one for one in known if one is not None), None)
    return MapTraits(key, factor, stated[0] if stated else None)


def factor_of(text: str, key: str) -> float | None:
    """What values in a stated unit are multiplied with; None for a unit that is not known."""
    plain = re.sub(r"[\s_]", "", text.lower()).replace("·", "*").replace("^-1", "")
    found = (factor for pattern, factor in _UNITS[MAP_UNITS[key]] if pattern.fullmatch(plain))
    return next(found, None)


def mapping_of(header: Dataset, frame: int = 0) -> Dataset | None:
    """The real world value mapping of an image or a frame."""
    group, keyword = "RealWorldValueMappingSequence", "RealWorldValueSlope"
    item = headers.group_item(header, group, keyword, frame)
    if item is not header:
        return item
    own = headers.value(header, group) or ()
    return next((one for one in own if keyword in one), None)


def is_parametric_map(header: Dataset) -> bool:
    """Whether an object is a Parametric Map, whose pixels may be floating point."""
    return headers.text(header, "SOPClassUID") == ParametricMapStorage


def is_own_map(header: Dataset) -> bool:
    """Whether an object is a map that this service wrote."""
    return is_parametric_map(header) and headers.text(header, "Manufacturer") == OWN_MANUFACTURER


def _key(header: Dataset) -> str | None:
    """By the most certain statement that there is."""
    mapped = _mapped_key(header)
    if mapped is not None:
        return mapped
    types = {_BY_TYPE[one] for one in headers.texts(header, "ImageType")[2:] if one in _BY_TYPE}
    if types:
        return types.pop() if len(types) == 1 else None
    words = re.sub(r"[_\W]+", " ", (headers.text(header, "SeriesDescription") or "").upper())
    named = [key for key, pattern in _BY_WORDS.items() if pattern.search(words)]
    return named[0] if len(named) == 1 else None


def _mapped_key(header: Dataset) -> str | None:
    mapping = mapping_of(header)
    for item in (headers.value(mapping, "QuantityDefinitionSequence") or ()) if mapping else ():
        for concept in headers.value(item, "ConceptCodeSequence") or ():
            key = _BY_CODE.get(headers.text(concept, "CodeValue") or "")
            if key is not None:
                return key
    return None


def _stated_units(header: Dataset) -> list[str]:
    """What may name the unit, the most certain first; "unspecified" and HU name none."""
    mapping = mapping_of(header)
    codes = (headers.value(mapping, "MeasurementUnitsCodeSequence") or ()) if mapping else ()
    mapped = [headers.text(code, "CodeValue") for code in codes]
    group, keyword = "PixelValueTransformationSequence", "RescaleType"
    rescaled = headers.text(headers.group_item(header, group, keyword), keyword)
    described = _IN_BRACKETS.findall(headers.text(header, "SeriesDescription") or "")
    if mapped:
        return [text for text in mapped if text]
    stated = [rescaled] if rescaled and rescaled.upper() not in ("US", "HU", "HU_MOD") else []
    return stated or ["".join(pair) for pair in described]
