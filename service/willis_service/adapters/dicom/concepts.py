"""Coded concepts of the core as highdicom writes them."""

from __future__ import annotations

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from willis_models.codes import PRIVATE_SCHEME, PRIVATE_SCHEME_NAME, Code

QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")  # PS3.16 TID 1500


def coded(code: Code) -> CodedConcept:
    """A concept as a DICOM code sequence item; values over 16 characters become LongCodeValue."""
    return CodedConcept(code.value, code.scheme, code.meaning)


def private_scheme() -> CodingSchemeIdentificationItem:
    """The declaration of the private scheme (0008,0110)."""
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name=PRIVATE_SCHEME_NAME,
        responsible_organization="Willis",
    )
