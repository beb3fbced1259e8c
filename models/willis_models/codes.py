"""Coded concepts: SNOMED CT and DCM where a standard code exists, ``99WILLIS`` where none does.

The private scheme is declared in every object that uses it and listed in ``docs/private-codes.md``.
SCT 414722000 / 414723005 are arterial segments of the middle cerebral artery, not ASPECTS regions,
and are deliberately not used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PRIVATE_SCHEME = "99WILLIS"
PRIVATE_SCHEME_NAME = "Willis stroke imaging private coding scheme"

Laterality = Literal["left", "right"]
SIDES: tuple[Laterality, Laterality] = ("left", "right")


@dataclass(frozen=True)
class Code:
    """A coded concept: value, coding scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


def private(value: str, meaning: str) -> Code:
    """A concept of the private scheme."""
    return Code(value, PRIVATE_SCHEME, meaning)


LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")
LATERALITY: dict[Laterality, Code] = {"left": LEFT, "right": RIGHT}

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical structure")
BRAIN = Code("12738006", "SCT", "Brain")
HEMISPHERE = Code("372073000", "SCT", "Cerebral hemisphere")

# The ten ASPECTS regions a side. No standard code exists for the cortical regions M1-M6.
ASPECTS_STRUCTURES: dict[str, Code] = {
    "C": Code("11000004", "SCT", "Caudate nucleus"),
    "L": private("ASPECTS-L", "Lentiform nucleus (ASPECTS region)"),
    "I": Code("36169008", "SCT", "Insula"),
    "IC": Code("85637007", "SCT", "Internal capsule"),
    "M1": private("ASPECTS-M1", "ASPECTS region M1, anterior MCA cortex"),
    "M2": private("ASPECTS-M2", "ASPECTS region M2, MCA cortex lateral to insula"),
    "M3": private("ASPECTS-M3", "ASPECTS region M3, posterior MCA cortex"),
    "M4": private("ASPECTS-M4", "ASPECTS region M4, anterior MCA territory above M1"),
    "M5": private("ASPECTS-M5", "ASPECTS region M5, lateral MCA territory above M2"),
    "M6": private("ASPECTS-M6", "ASPECTS region M6, posterior MCA territory above M3"),
}
ASPECTS_REGIONS: tuple[str, ...] = tuple(ASPECTS_STRUCTURES)

# Thresholds whose volumes are reported: relative blood flow below, and Tmax above.
RCBF_PERCENT = (20, 30, 34, 38)
TMAX_S = (4, 6, 8, 10)

# Concepts of measurements and evaluations in findings and SR.
MEASUREMENTS: dict[str, Code] = {
    "aspects_score": private("ASPECTS", "Alberta Stroke Program Early CT Score"),
    "aspects_lowest": private("ASPECTS-LOWEST", "Lowest score if all open regions are affected"),
    "aspects_highest": private("ASPECTS-HIGHEST", "Highest score if no open region is affected"),
    "volume_ml": Code("118565006", "SCT", "Volume"),
    "probability": private("ISCH-PROB", "Probability of early ischaemic change"),
    "mean_hu": private("MEAN-HU", "Mean attenuation of the region"),
    "mirror_mean_hu": private("MIRROR-HU", "Mean attenuation of the mirrored region"),
    "difference_hu": private("DIFF-HU", "Attenuation difference, mirrored minus own side"),
    "ratio": private("HU-RATIO", "Attenuation ratio, own to mirrored side"),
    "counted_voxels": private("VOX-COUNTED", "Voxels that counted"),
    "excluded_csf_voxels": private("VOX-CSF", "Voxels left out as cerebrospinal fluid"),
    "excluded_calcification_voxels": private("VOX-CALC", "Voxels left out as calcification"),
    "excluded_old_infarct_voxels": private("VOX-OLD", "Voxels left out as old infarct"),
    **{
        f"rcbf_below_{percent}_ml": private(
            f"RCBF-{percent}", f"Volume with relative cerebral blood flow below {percent}%"
        )
        for percent in RCBF_PERCENT
    },
    **{
        f"tmax_above_{seconds}_ml": private(
            f"TMAX-{seconds}", f"Volume with Tmax above {seconds} s"
        )
        for seconds in TMAX_S
    },
    "mismatch_ml": private("MISMATCH-VOL", "Mismatch volume"),
    "mismatch_ratio": private("MISMATCH-RATIO", "Mismatch ratio"),
    "hypoperfusion_intensity_ratio": private("HIR", "Hypoperfusion intensity ratio"),
    "cbv_index": private("CBV-INDEX", "Cerebral blood volume index"),
    "expected_volume_ml": private("EXPECTED-VOL", "Volume weighted by probability"),
    "component_count": private("COMPONENTS", "Number of separate parts"),
    "largest_component_ml": private("LARGEST-PART", "Volume of the largest part"),
    "peak_hu": private("PEAK-HU", "Peak enhancement"),
    "arrival_s": private("ARRIVAL", "Bolus arrival time"),
    "time_to_peak_s": Code("113069", "DCM", "Time To Peak"),
    "fwhm_s": private("BOLUS-FWHM", "Full width at half maximum of the bolus"),
    "last_share": private("LAST-SHARE", "Last enhancement as a share of the peak"),
    "max_translation_mm": private("MAX-TRANSLATION", "Largest displacement of the head"),
    "max_rotation_deg": private("MAX-ROTATION", "Largest rotation of the head"),
    "noise_hu": private("NOISE-HU", "Noise before deconvolution"),
}

# Parametric maps.
MAPS: dict[str, Code] = {
    "cbf": Code("113055", "DCM", "Regional Cerebral Blood Flow"),
    "cbv": Code("113056", "DCM", "Regional Cerebral Blood Volume"),
    "mtt": Code("113052", "DCM", "Mean Transit Time"),
    "tmax": Code("113084", "DCM", "Tmax"),
    "ttp": Code("113069", "DCM", "Time To Peak"),
}
# The unit in which each map is read and written, a key of UNITS.
MAP_UNITS: dict[str, str] = {
    "cbf": "mL/(100.g)/min",
    "cbv": "mL/(100.g)",
    "mtt": "s",
    "tmax": "s",
    "ttp": "s",
}

# Segments of the infarct pipeline; no standard code exists for core and penumbra.
INFARCT = Code("55641003", "SCT", "Infarct")
INFARCT_CORE = private("INFARCT-CORE", "Infarct core by perfusion threshold")
PENUMBRA = private("PENUMBRA", "Penumbra by perfusion threshold")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically abnormal structure")
VESSELS: dict[str, Code] = {
    "aif": private("AIF", "Arterial input function"),
    "vof": private("VOF", "Venous output function"),
}
CRITERION = private("TRIAL-CRITERION", "Criterion volumes of a trial")
CRITERION_OUTCOMES: dict[str, Code] = {
    "met": private("CRIT-MET", "Criterion volumes met"),
    "not_met": private("CRIT-NOT-MET", "Criterion volumes not met"),
    "not_assessable": private("CRIT-OPEN", "Criterion volumes not assessable"),
}
INTERVAL_LOW = private("INTERVAL-LOW", "Lower end of the interval")
INTERVAL_HIGH = private("INTERVAL-HIGH", "Upper end of the interval")
INTERVAL_BASIS = private("INTERVAL-BASIS", "What the interval rests on")
STUDY_NUMBERS = private("STUDY-NUMBERS", "Measurements of the whole study")
NOTHING_FOUND = private("NOTHING-FOUND", "Nothing was found")
HEAD_MOTION = private("HEAD-MOTION", "Motion of the head during the scan")
PERFUSION_METHOD = private("PERF-METHOD", "How perfusion was measured")
VESSEL_CHOICE = private("VESSEL-CHOICE", "How the vessel was chosen")
VESSEL_POSITION = private("VESSEL-POSITION", "Where the vessel was measured")
REGION_STATE = private("REGION-STATE", "State of the ASPECTS region")
RULE_STATE = private("RULE-STATE", "State by the deterministic asymmetry rule")
SIDE_SELECTION = private("SIDE-SELECTION", "How the scored side was chosen")
STATE_REASON = private("STATE-REASON", "Reason for the state of the region")
SCORE_STATE = private("SCORE-STATE", "Whether the score could be given")
QUALITY_ITEM = private("QUALITY-ITEM", "Quality item")
QUALITY_OUTCOME = private("QUALITY-OUTCOME", "Outcome of the quality item")
QUALITY_MESSAGE = private("QUALITY-MESSAGE", "Message of the quality item")
REJECTION = private("REJECTION", "Reason why the study was not analysed")
REJECTION_MESSAGE = private("REJECTION-TEXT", "Why the study was not analysed, in words")
LIMIT = private("LIMIT", "Known limit of the model")
AMENDMENT = private("AMENDMENT", "Amended result")
INTENDED_USE = private("INTENDED-USE", "Intended use statement")

STATES: dict[str, Code] = {
    "unaffected": private("UNAFFECTED", "No early ischaemic change found"),
    "affected": private("AFFECTED", "Early ischaemic change"),
    "indeterminate": Code("114011", "DCM", "Indeterminate"),
    "not_assessable": private("NOT-ASSESSABLE", "Not assessable"),
}

QUALITY_OUTCOMES: dict[str, Code] = {
    "pass": private("QC-PASS", "Passed"),
    "warn": private("QC-WARN", "Passed with a warning"),
    "reject": private("QC-REJECT", "Rejected"),
}

# UCUM units used by measurements.
UNITS: dict[str, Code] = {
    "mL": Code("mL", "UCUM", "milliliter"),
    "[hnsf'U]": Code("[hnsf'U]", "UCUM", "Hounsfield unit"),
    "1": Code("1", "UCUM", "no units"),
    "{ratio}": Code("{ratio}", "UCUM", "ratio"),
    "{voxels}": Code("{voxels}", "UCUM", "voxels"),
    "{score}": Code("{score}", "UCUM", "score"),
    "{count}": Code("{count}", "UCUM", "count"),
    "s": Code("s", "UCUM", "second"),
    "mm": Code("mm", "UCUM", "millimeter"),
    "deg": Code("deg", "UCUM", "degree"),
    "mL/(100.g)": Code("mL/(100.g)", "UCUM", "milliliter per 100 gram"),
    "mL/(100.g)/min": Code("mL/(100.g)/min", "UCUM", "milliliter per 100 gram and minute"),
}

# Units as people write them, where the UCUM sign would puzzle a reader.
PLAIN_UNITS: dict[str, str] = {
    "[hnsf'U]": "HU",
    "1": "",
    "{ratio}": "",
    "{count}": "",
    "{voxels}": "voxels",
}


def reason(code: str) -> Code:
    """A quality item's or an error's stable code as a concept, such as ``BRAIN_NOT_PLAUSIBLE``."""
    return private(code, code.replace("_", " ").capitalize()[:64])


def private_codes() -> tuple[Code, ...]:
    """Every concept of the private scheme that a result may carry, sorted by value."""
    used = (
        *ASPECTS_STRUCTURES.values(),
        *MEASUREMENTS.values(),
        *STATES.values(),
        *QUALITY_OUTCOMES.values(),
        *VESSELS.values(),
        *CRITERION_OUTCOMES.values(),
        CRITERION,
        INFARCT_CORE,
        PENUMBRA,
        INTERVAL_LOW,
        INTERVAL_HIGH,
        INTERVAL_BASIS,
        STUDY_NUMBERS,
        NOTHING_FOUND,
        HEAD_MOTION,
        PERFUSION_METHOD,
        VESSEL_CHOICE,
        VESSEL_POSITION,
        REGION_STATE,
        RULE_STATE,
        STATE_REASON,
        SCORE_STATE,
        SIDE_SELECTION,
        QUALITY_ITEM,
        QUALITY_OUTCOME,
        QUALITY_MESSAGE,
        REJECTION,
        REJECTION_MESSAGE,
        LIMIT,
        AMENDMENT,
        INTENDED_USE,
    )
    mine = {code for code in used if code.scheme == PRIVATE_SCHEME}
    return tuple(sorted(mine, key=lambda code: code.value))
