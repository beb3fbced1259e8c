"""Jobs and their results."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse

from willis_models.findings import Findings
from willis_service.adapters.rest.schemas import JobId, JobList, JobReply
from willis_service.application.ports import JobDesk
from willis_service.domain.job import DICOM_MAPS, JobState, ResultKind

# The report is self-contained: whatever else it may hold, it loads and sends nothing.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_MAP_NAME = rf"^({'|'.join(DICOM_MAPS)})\.(dcm|nii\.gz)$"
MapName = Annotated[str, InPath(pattern=_MAP_NAME, max_length=64)]


def _binary(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {media_type: {"schema": schema}}}}


_MAP_CONTENT = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for media_type in ("application/dicom", "application/gzip")
}


def jobs_router(desk: JobDesk) -> APIRouter:
    """The routes below ``/jobs``, over this desk."""
    router = APIRouter(prefix="/jobs", tags=["jobs"])
    _add_job_routes(router, desk)
    _add_result_routes(router, desk)
    return router


def _add_job_routes(router: APIRouter, desk: JobDesk) -> None:
    @router.get("", summary="The latest jobs, newest first")
    def jobs(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    ) -> JobList:
        return JobList(jobs=[JobReply.of(job) for job in desk.recent_jobs(limit, state)])

    @router.get("/{job_id}", summary="One job as it stands now")
    def job(job_id: JobId) -> JobReply:
        return JobReply.of(desk.job(job_id))

    @router.post(
        "/{job_id}/retry",
        status_code=HTTPStatus.ACCEPTED,
        summary="Try a failed job again",
    )
    def retry(job_id: JobId) -> JobReply:
        """Queue a failed job again with all its attempts; this is also what un-parks a job.

        409 where the job did not fail, or where a later job stands for its study.
        """
        return JobReply.of(desk.queue.retry(job_id))


def _add_result_routes(router: APIRouter, desk: JobDesk) -> None:
    @router.get(
        "/{job_id}/findings",
        summary="Findings as JSON",
        response_class=FileResponse,
        responses={200: {"model": Findings, "description": "Versioned findings."}},
    )
    def findings(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.FINDINGS, "application/json")

    @router.get(
        "/{job_id}/seg",
        summary="DICOM segmentation",
        response_class=FileResponse,
        responses=_binary("application/dicom", "A DICOM Segmentation object."),
    )
    def seg(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.SEG, "application/dicom")

    @router.get(
        "/{job_id}/sr",
        summary="DICOM structured report",
        response_class=FileResponse,
        responses=_binary("application/dicom", "A DICOM Structured Report."),
    )
    def sr(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.SR, "application/dicom")

    @router.get(
        "/{job_id}/report",
        summary="Report to look at",
        response_class=FileResponse,
        responses=_binary("text/html", "One self-contained page."),
    )
    def report(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.REPORT, "text/html")

    @router.get(
        "/{job_id}/picture",
        summary="Report as a picture",
        response_class=FileResponse,
        responses=_binary("image/png", "The same page as PNG."),
    )
    def picture(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.PICTURE, "image/png")

    @router.get(
        "/{job_id}/retraction",
        summary="Key object selection that rejects the result",
        response_class=FileResponse,
        responses=_binary("application/dicom", "A DICOM Key Object Selection."),
    )
    def retraction(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.RETRACTION, "application/dicom")

    @router.get(
        "/{job_id}/labels",
        summary="Label map as NIfTI",
        response_class=FileResponse,
        responses=_binary("application/gzip", "The label map on the grid of a NIfTI input."),
    )
    def labels(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.LABELS, "application/gzip")

    @router.get(
        "/{job_id}/overlays",
        summary="Segments that may lie over those of the label map, as NIfTI",
        response_class=FileResponse,
        responses=_binary("application/gzip", "One volume for each layer, on the same grid."),
    )
    def overlays(job_id: JobId) -> FileResponse:
        return _file(desk, job_id, ResultKind.OVERLAYS, "application/gzip")

    @router.get(
        "/{job_id}/maps/{name}",
        summary="A parametric map",
        response_class=FileResponse,
        responses={200: {"description": "As it is named.", "content": _MAP_CONTENT}},
    )
    def parametric_map(job_id: JobId, name: MapName) -> FileResponse:
        """``cbf.dcm`` and its like are DICOM Parametric Maps, ``cbf.nii.gz`` is for NIfTI input."""
        is_dicom = name in DICOM_MAPS.values()
        media_type = "application/dicom" if is_dicom else "application/gzip"
        return _file(desk, job_id, ResultKind(name), media_type)


def _file(desk: JobDesk, job_id: str, kind: ResultKind, media_type: str) -> FileResponse:
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'inline; filename="{job_id}-{kind.value}"',
    }
    if kind is ResultKind.REPORT:
        headers["Content-Security-Policy"] = _REPORT_POLICY
    return FileResponse(desk.result_path(job_id, kind), media_type=media_type, headers=headers)
