"""Label codes of the SynthSeg head maps, as read from the images, and the ASPECTS regions."""

from __future__ import annotations

ASPECTS_NAMES = ("C", "L", "I", "IC", "M1", "M2", "M3", "M4", "M5", "M6")
CAUDATE, LENTIFORM, INSULA, INTERNAL_CAPSULE, FIRST_CORTICAL = 1, 2, 3, 4, 5
RIGHT_OFFSET = 10
"""Labels 1-10 lie on the patient's left, 11-20 on the right."""

# (left, right)
CAUDATE_CODES = ((11,), (50,))
LENTIFORM_CODES = ((12, 13), (51, 52))
THALAMUS_CODES = ((10,), (49,))
WHITE_CODES = ((2, 25), (41, 57))
CORTEX_CODES = ((3,), (42,))
# grey and white of the cerebral hemisphere with its nuclei, hippocampus, amygdala, accumbens
HEMISPHERE_CODES = (
    (2, 25, 3, 11, 12, 13, 17, 18, 26),
    (41, 57, 42, 50, 51, 52, 53, 54, 58),
)
CEREBELLUM_CODES = (7, 8, 46, 47)
BRAINSTEM_CODES = (16, 28, 60, 85)
# 136, 137, 163, 164 line the lateral ventricles and their temporal horns
VENTRICLE_CODES = (4, 5, 14, 15, 43, 44, 72, 136, 137, 163, 164)
CISTERN_CODES = (24,)

GREY_CODES = (3, 42, 8, 47, 10, 49, 11, 50, 12, 51, 13, 52, 17, 53, 18, 54, 26, 58)
WHITE_MATTER_CODES = (2, 41, 25, 57, 7, 46, 16, 28, 60)
CSF_CODES = (*VENTRICLE_CODES, *CISTERN_CODES)
PARENCHYMA_CODES = (*GREY_CODES, *WHITE_MATTER_CODES, 85)

T1_MEANS = {
    44.0: CSF_CODES,
    160.0: (*WHITE_MATTER_CODES, 85),
    96.0: (3, 42, 8, 47, 17, 53, 18, 54, 26, 58),
    130.0: (10, 49),
    124.0: (11, 50, 12, 51),
    152.0: (13, 52),
}
"""T1w prior mean of each tissue, arbitrary units (SynthSeg's priors)."""
