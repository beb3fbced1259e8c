"""The SR's Qualitative Evaluations: intended use, rejection, side, criteria, quality, limits."""

from __future__ import annotations

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    LanguageOfContentItemAndDescendants,
    RelationshipTypeValues,
    TextContentItem,
)

from willis_models.codes import (
    AMENDMENT,
    CRITERION,
    CRITERION_OUTCOMES,
    INTENDED_USE,
    LATERALITY,
    LIMIT,
    PERFUSION_METHOD,
    QUALITY_ITEM,
    QUALITY_MESSAGE,
    QUALITY_OUTCOME,
    QUALITY_OUTCOMES,
    REJECTION,
    REJECTION_MESSAGE,
    SIDE_SELECTION,
    Code,
    reason,
)
from willis_models.findings import (
    Criterion,
    Findings,
    QualityItem,
    Rejection,
    SideSelection,
)
from willis_service.adapters.dicom.concepts import QUALITATIVE_EVALUATIONS, coded
from willis_service.adapters.dicom.result_headers import plain_text

_CONTAINS = RelationshipTypeValues.CONTAINS
_PROPERTY = RelationshipTypeValues.HAS_PROPERTIES
_ENGLISH = Code("en", "RFC5646", "English")


def language() -> LanguageOfContentItemAndDescendants:
    """The report's language."""
    return LanguageOfContentItemAndDescendants(coded(_ENGLISH))


def statement(findings: Findings) -> ContentItem:
    """The intended-use statement."""
    return _text(INTENDED_USE, findings.intended_use)


def evaluations(findings: Findings) -> ContainerContentItem:
    """What is said in words and codes rather than measured."""
    container = ContainerContentItem(coded(QUALITATIVE_EVALUATIONS), relationship_type=_CONTAINS)
    items = [statement(findings)]
    if findings.amends is not None:
        items.append(_text(AMENDMENT, findings.amends.text))
    if findings.rejection is not None:
        items.append(_rejection(findings.rejection))
    if findings.side_selection is not None:
        items.append(_side(findings.side_selection))
    if findings.perfusion is not None:
        items.append(_text(PERFUSION_METHOD, findings.perfusion.method))
        items += [_criterion(one) for one in findings.perfusion.criteria]
    items += [_quality(item) for item in findings.quality]
    items += [_text(LIMIT, limit) for limit in findings.limits]
    container.ContentSequence = ContentSequence(items)
    return container


def _rejection(rejection: Rejection) -> ContentItem:
    item = _code(REJECTION, reason(rejection.code))
    item.ContentSequence = ContentSequence([_text(REJECTION_MESSAGE, rejection.message, _PROPERTY)])
    return item


def _side(selection: SideSelection) -> ContentItem:
    if selection.side is None:
        return _text(SIDE_SELECTION, selection.how)
    item = _code(SIDE_SELECTION, LATERALITY[selection.side])
    item.ContentSequence = ContentSequence([_text(SIDE_SELECTION, selection.how, _PROPERTY)])
    return item


def criterion_text(criterion: Criterion) -> str:
    """Which rule of which trial, and why the outcome is what it is."""
    return f"{criterion.trial} ({criterion.rule}): {criterion.why}"


def _criterion(criterion: Criterion) -> ContentItem:
    """Volumes against a trial's rule. Nothing here says whether anybody is eligible."""
    item = _code(CRITERION, CRITERION_OUTCOMES[criterion.outcome])
    item.ContentSequence = ContentSequence([_text(CRITERION, criterion_text(criterion), _PROPERTY)])
    return item


def _quality(quality: QualityItem) -> ContentItem:
    item = _code(QUALITY_ITEM, reason(quality.code))
    item.ContentSequence = ContentSequence(
        [
            _code(QUALITY_OUTCOME, QUALITY_OUTCOMES[quality.outcome], _PROPERTY),
            _text(QUALITY_MESSAGE, quality.message, _PROPERTY),
        ]
    )
    return item


def _code(
    name: Code, value: Code, relationship: RelationshipTypeValues = _CONTAINS
) -> CodeContentItem:
    return CodeContentItem(coded(name), coded(value), relationship_type=relationship)


def _text(
    name: Code, value: str, relationship: RelationshipTypeValues = _CONTAINS
) -> TextContentItem:
    return TextContentItem(coded(name), plain_text(value), relationship_type=relationship)
