"""What a person decides about the models."""

from __future__ import annotations

from functools import partial

from willis_service.adapters.bundles.entries import Catalogued
from willis_service.adapters.storage.database import migrate, open_database
from willis_service.adapters.storage.models import SqlModelRecord, SqlShadowBook
from willis_service.application.model_desk import ModelDesk
from willis_service.bootstrap.core import bundles_of, clock, enabled_pipelines, trust_of
from willis_service.bootstrap.working import models_of
from willis_service.domain.job import BundleId
from willis_service.settings import Settings
from willis_service.shipped import PipelineSource, shipped_pipelines


def build_model_desk(settings: Settings, source: PipelineSource = shipped_pipelines) -> ModelDesk:
    """The desk over the database and the bundles; nothing else of the service is needed."""
    database = open_database(settings.effective_database_url, settings.database_busy_s)
    migrate(database)
    pipelines, bundles = enabled_pipelines(settings, source()), bundles_of(settings, database)

    def prove(pipeline: str, bundle: BundleId) -> object:
        return models_of(settings, pipelines, bundles).take(pipeline, bundle)

    return ModelDesk(
        pipelines=pipelines,
        stock=Catalogued(bundles, partial(trust_of, settings)),
        record=SqlModelRecord(database),
        book=SqlShadowBook(database),
        prove=prove,
        clock=clock,
    )
