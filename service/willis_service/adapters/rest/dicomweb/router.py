"""The routes below ``/dicomweb``, put together."""

from __future__ import annotations

from fastapi import APIRouter

from willis_service.adapters.rest.config import Imaging, RestConfig
from willis_service.adapters.rest.dicomweb.qido import search_router
from willis_service.adapters.rest.dicomweb.stow import store_router
from willis_service.adapters.rest.dicomweb.wado import retrieve_router
from willis_service.adapters.rest.dicomweb.wado_pixels import pixels_router


def dicomweb_router(imaging: Imaging, config: RestConfig) -> APIRouter:
    """STOW-RS, QIDO-RS and WADO-RS."""
    router = APIRouter(prefix="/dicomweb", tags=["dicomweb"])
    router.include_router(store_router(imaging.take, config))
    router.include_router(search_router(imaging.room))
    router.include_router(retrieve_router(imaging.room, imaging.pixels))
    router.include_router(pixels_router(imaging.room, imaging.pixels))
    return router
