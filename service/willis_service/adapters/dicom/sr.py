"""Findings as a Comprehensive 3D SR, TID 1500: scores, segments, numbers, vessels, quality."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode

from willis_models.findings import Findings, ModelIdentity
from willis_models.pipelines.base import Analysis
from willis_service.adapters.dicom.result_headers import (
    Equipment,
    ResultIdentity,
    common_arguments,
    complete_result,
    device_uid,
    local_time,
    of_known_class,
    plain_text,
    result_identity,
    without_patient,
)
from willis_service.adapters.dicom.sr_evaluations import evaluations, language
from willis_service.adapters.dicom.sr_groups import Group, region_group, score_group
from willis_service.adapters.dicom.sr_perfusion import (
    motion_group,
    study_group,
    vessel_group,
    vessels_of,
)

SERIES_OFFSET = 2
_PROCEDURES: dict[str, DicomCode] = {
    "CT": codes.cid100.CTUnspecifiedBodyRegion,
    "MR": codes.cid100.MRIUnspecifiedBodyRegion,
}


def write_sr(
    analysis: Analysis,
    headers: Sequence[Dataset],
    seg: Dataset | None,
    equipment: Equipment,
    *,
    created: datetime,
    predecessor: Dataset | None = None,
    maps: Sequence[Dataset] = (),
) -> Dataset:
    """The structured report of one analysis, in the study of ``headers``.

    ``headers`` are those of the analysed series; for a rejected study for which no series could
    be chosen, any image of the study. ``predecessor`` is the SR that this one amends; ``maps`` are
    the parametric maps of the same analysis, evidence like the images.
    A rejected study's SR says so, with the reason and without numbers, and is marked PARTIAL:
    what was asked for is not in it. Nobody has verified either kind.
    """
    findings, source = analysis.findings, headers[0]
    identity = result_identity(headers, findings, equipment, predecessor)
    moment = local_time(created, source)
    evidence = [*headers, *([] if seg is None else [seg]), *maps]
    sr = Comprehensive3DSR(
        evidence=[of_known_class(without_patient(header)) for header in evidence],
        content=_content(findings, source, seg, identity, equipment),
        is_complete=findings.rejection is None,
        is_final=False,
        is_verified=False,
        series_description=_series_description(findings),
        previous_versions=None if predecessor is None else [predecessor],
        **common_arguments("sr", SERIES_OFFSET, identity, equipment, findings.model, moment),
    )
    if findings.rejection is not None:
        sr.CompletionFlagDescription = f"Not analysed: {findings.rejection.code}"[:64]
    complete_result(sr, source, moment)
    _restore_classes(sr, evidence)
    return sr


def _series_description(findings: Findings) -> str:
    kind = "SR" if findings.amends is None else "SR amended"
    return f"Willis {findings.pipeline} {kind} - research use only"[:64]


def _restore_classes(sr: Dataset, evidence: Sequence[Dataset]) -> None:
    """Name each piece of evidence by its own SOP class again."""
    classes = {str(item.SOPInstanceUID): item.SOPClassUID for item in evidence}
    for study in sr.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                uid = str(instance.ReferencedSOPInstanceUID)
                instance.ReferencedSOPClassUID = classes[uid]


def _content(
    findings: Findings,
    source: Dataset,
    seg: Dataset | None,
    identity: ResultIdentity,
    equipment: Equipment,
) -> ContentSequence:
    context = _observer(findings.model, equipment)
    groups = _groups(findings, source, seg, identity)
    if groups:
        report: ContentSequence = MeasurementReport(
            observation_context=context,
            procedure_reported=_procedure(source),
            imaging_measurements=groups,
            language_of_content_item_and_descendants=language(),
        )
    else:
        report = _report_without_measurements(context, source)
    report[0].ContentSequence.append(evaluations(findings))
    return report


def _groups(
    findings: Findings, source: Dataset, seg: Dataset | None, identity: ResultIdentity
) -> list[Group]:
    if findings.model is None:
        return []
    algorithm = _algorithm(findings.model)
    scores = [score_group(score, identity, algorithm) for score in findings.scores]
    regions = [
        region_group(segment, source, seg, identity, algorithm) for segment in findings.segments
    ]
    study = [study_group(findings.measurements, identity, algorithm)]
    vessels = [
        vessel_group(curve, source, identity, algorithm) for curve in vessels_of(findings.perfusion)
    ]
    motion = findings.perfusion.motion if findings.perfusion is not None else None
    moved = [] if motion is None else [motion_group(motion, identity, algorithm)]
    return [*scores, *regions, *(study if findings.measurements else []), *vessels, *moved]


def _algorithm(model: ModelIdentity) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=plain_text(model.name),
        version=model.version,
        parameters=[f"weights_sha256 {model.weights_sha256}"],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer="Willis",
    )


def _observer(model: ModelIdentity | None, equipment: Equipment) -> ObservationContext:
    """The device that observed: this installation, with the model that it ran."""
    named = f"{model.name} {model.version}" if model else equipment.model_name
    device = DeviceObserverIdentifyingAttributes(
        uid=device_uid(equipment),
        name=plain_text(named),
        manufacturer_name=equipment.manufacturer,
        model_name=f"{equipment.model_name} {equipment.software_version}",
        serial_number=equipment.serial_number,
    )
    observer = ObserverContext(
        observer_type=codes.DCM.Device, observer_identifying_attributes=device
    )
    return ObservationContext(observer_device_context=observer)


def _procedure(source: Dataset) -> DicomCode:
    """From PS3.16 CID 100, which knows no plain head CT."""
    return _PROCEDURES.get(str(source.get("Modality")), _PROCEDURES["CT"])


def _report_without_measurements(context: ObservationContext, source: Dataset) -> ContentSequence:
    """TID 1500 with its Qualitative Evaluations only, which highdicom's template can't make."""
    root = ContainerContentItem(name=codes.DCM.ImagingMeasurementReport, template_id="1500")
    root.ContentSequence = ContentSequence()
    root.ContentSequence.extend(language())
    root.ContentSequence.extend(context)
    root.ContentSequence.append(
        CodeContentItem(
            codes.DCM.ProcedureReported,
            _procedure(source),
            relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    return ContentSequence([root], is_root=True)
