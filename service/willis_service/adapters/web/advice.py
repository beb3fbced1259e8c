"""What a reader can do about a study that was refused, by the stable code of the reason."""

from __future__ import annotations

_SEND_AGAIN = "Check in the archive that the series is complete, then send the study again."
_OTHER_SERIES = "Send a study that holds an original, axial, non-contrast CT series of the head."
_OTHER_PERFUSION_SERIES = (
    "Send a study that holds an original CT perfusion series of the head with all its time points, "
    "or maps of Tmax and CBF."
)
_LONGER_SCAN = "Next time scan from before the bolus to 60 s or more. "
_READ_WITHOUT = "Read the study without this analysis."

ADVICE: dict[str, str] = {
    "DECODING_FAILED": "Send the study again in a lossless DICOM transfer syntax.",
    "GEOMETRY_ERROR": _SEND_AGAIN,
    "MISSING_SLICES": _SEND_AGAIN,
    "DUPLICATE_SLICES": "Check in the archive which copy is right, and send the series once.",
    "MIXED_ORIENTATIONS": "Send the axial series on its own.",
    "TOO_FEW_SLICES": _SEND_AGAIN,
    "NO_SUITABLE_SERIES": _OTHER_SERIES,
    "COLOUR_PIXELS": "Send the original images, not screen captures.",
    "LOSSY_PIXELS": "Send the original images without lossy compression.",
    "WRONG_MODALITY": _OTHER_SERIES,
    "NOT_A_HEAD": _OTHER_SERIES,
    "CONTRAST_GIVEN": "Send the series that was acquired before contrast was given.",
    "PATIENT_UNDER_18": "The model is made for adults. " + _READ_WITHOUT,
    "BRAIN_NOT_PLAUSIBLE": "Check that the series covers the whole head and shows the patient. "
    + _READ_WITHOUT,
    "SCAN_TOO_SHORT": "Check that every time point was sent. " + _LONGER_SCAN + _READ_WITHOUT,
    "BOLUS_TRUNCATED": "Check that every time point was sent. " + _LONGER_SCAN + _READ_WITHOUT,
    "SAMPLING_TOO_COARSE": "Check that every time point was sent. " + _READ_WITHOUT,
    "NO_BOLUS": "Check that this is the series with contrast, and that the injection worked. "
    + _READ_WITHOUT,
    "TOO_MUCH_MOTION": "The patient moved too far during the scan. " + _READ_WITHOUT,
    "NO_VESSEL": "Give the place of the artery or the vein by hand, or choose another one. "
    + _READ_WITHOUT,
    "REGISTRATION_FAILED": "Strong rotation, missing anatomy or surgery can cause this. "
    + _READ_WITHOUT,
}


_BY_PIPELINE: dict[str, dict[str, str]] = {
    "infarct": {
        code: _OTHER_PERFUSION_SERIES
        for code, advice in ADVICE.items()
        if advice in (_OTHER_SERIES, ADVICE["CONTRAST_GIVEN"])
    }
}
"""Where a pipeline reads something else than a plain head CT."""


def advice_for(code: str, pipeline: str) -> str:
    """One or two sentences on what to do."""
    unknown = "The reason above says what stands in the way. " + _READ_WITHOUT
    return _BY_PIPELINE.get(pipeline, {}).get(code) or ADVICE.get(code, unknown)
