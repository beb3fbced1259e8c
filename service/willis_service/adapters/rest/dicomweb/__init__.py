"""DICOMweb (PS3.18): store, search and retrieve, over the application's room of studies."""

from willis_service.adapters.rest.dicomweb.router import dicomweb_router

__all__ = ["dicomweb_router"]
