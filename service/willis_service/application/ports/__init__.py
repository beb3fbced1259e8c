"""What the use cases need from the outside, in the application's own words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from willis_service.application.ports.analysing import (
    Amended,
    ExtentReader,
    InputOpener,
    Model,
    ModelShelf,
    OrderedInput,
    ReportWriter,
    ResultShelf,
    StudyInput,
)
from willis_service.application.ports.completing import (
    BundleCatalogue,
    Choice,
    SeriesNote,
    SeriesSelector,
    StudyOutcomes,
    StudyWatch,
)
from willis_service.application.ports.desk import JobDesk, QueueDesk
from willis_service.application.ports.queueing import (
    JobBook,
    JobCare,
    JobRuns,
    LifeSigns,
    NoticeBook,
    Probe,
    QueueReport,
    RunSigns,
    WorkQueue,
)
from willis_service.application.ports.receiving import (
    ImageArchive,
    InstanceArchive,
    InstanceParser,
    Kept,
    Landing,
    StudyIndex,
)

Clock = Callable[[], datetime]
"""The time now, with a time zone."""

__all__ = [
    "Amended",
    "BundleCatalogue",
    "Choice",
    "Clock",
    "ExtentReader",
    "ImageArchive",
    "InputOpener",
    "InstanceArchive",
    "InstanceParser",
    "JobBook",
    "JobCare",
    "JobDesk",
    "JobRuns",
    "Kept",
    "Landing",
    "LifeSigns",
    "Model",
    "ModelShelf",
    "NoticeBook",
    "OrderedInput",
    "Probe",
    "QueueDesk",
    "QueueReport",
    "ReportWriter",
    "ResultShelf",
    "RunSigns",
    "SeriesNote",
    "SeriesSelector",
    "StudyIndex",
    "StudyInput",
    "StudyOutcomes",
    "StudyWatch",
    "WorkQueue",
]
