"""The series that the pipeline reads."""

from __future__ import annotations

from willis_models.pipelines.base import Role

CTP = "ctp"
MAP_ROLES = ("tmax", "cbf", "cbv", "mtt")
STILL_ROLES = ("ncct", "cta")

ROLES = (
    Role(CTP, "CT", "CT perfusion of the head", required=False, kind="dynamic"),
    Role("tmax", "CT", "Tmax map", required=False, kind="map"),
    Role("cbf", "CT", "Map of cerebral blood flow", required=False, kind="map"),
    Role("cbv", "CT", "Map of cerebral blood volume", required=False, kind="map"),
    Role("mtt", "CT", "Map of the mean transit time", required=False, kind="map"),
    Role("ncct", "CT", "Non-contrast head CT", required=False),
    Role("cta", "CT", "CT angiography of the head", required=False),
)
NEEDS = (frozenset({CTP}), frozenset({"tmax", "cbf"}))
