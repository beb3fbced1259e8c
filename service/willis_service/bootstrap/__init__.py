"""The composition root: settings in, the parts of the service put together out.

Only this package knows which adapter serves which port. What runs them is in ``roles`` (one
process) and ``supervisor`` (all of them).
"""

from willis_service.bootstrap.api import build_api, build_desk, desk_of
from willis_service.bootstrap.committing import commitment_of, reports_of
from willis_service.bootstrap.core import Core, build_core, clock, enabled_pipelines
from willis_service.bootstrap.delivering import (
    commitment_noter_of,
    courier_of,
    delivery_desk_of,
    destinations_of,
    retention_of,
)
from willis_service.bootstrap.keeping import (
    KeeperPresence,
    alarms_of,
    completeness_of,
    keeper_presence_of,
    reconciler_of,
    sweeper_of,
)
from willis_service.bootstrap.reading import description_of, imaging_of, reading_of
from willis_service.bootstrap.receiving import doors_of, journaled, receiver_of
from willis_service.bootstrap.ruling import read_rules, rules_of, selector_of
from willis_service.bootstrap.working import (
    Worker,
    build_predict,
    equipment_of,
    input_opener,
    worker_of,
    worker_process_of,
    write_report,
)

__all__ = [
    "Core",
    "KeeperPresence",
    "Worker",
    "alarms_of",
    "build_api",
    "build_core",
    "build_desk",
    "build_predict",
    "clock",
    "commitment_noter_of",
    "commitment_of",
    "completeness_of",
    "courier_of",
    "delivery_desk_of",
    "description_of",
    "desk_of",
    "destinations_of",
    "doors_of",
    "enabled_pipelines",
    "equipment_of",
    "imaging_of",
    "input_opener",
    "journaled",
    "keeper_presence_of",
    "read_rules",
    "reading_of",
    "receiver_of",
    "reconciler_of",
    "reports_of",
    "retention_of",
    "rules_of",
    "selector_of",
    "sweeper_of",
    "worker_of",
    "worker_process_of",
    "write_report",
]
