"""Which series of a stroke study is the perfusion scan, which are its maps, and which are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from tests.infarct_like import INFARCT_LIKE, MAPS, NEEDS, ROLES
from tests.synthetic_ct import write_ct_series
from tests.synthetic_ctp import (
    Ctp,
    at_once,
    by_acquisition_time,
    by_mid_scan_time,
    in_turn,
    without_time,
    write_map,
)
from tests.toy_pipeline import TOY
from willis_models.errors import ColourPixels, NoSuitableSeries, UnsuitableSeries
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.series_selection import Selection, select_series
from willis_service.adapters.dicom.study_selector import StudySelector
from willis_service.application.ports import Choice
from willis_service.bootstrap.ruling import shipped_rules
from willis_service.domain.completeness import Basis, Lack
from willis_service.domain.rules import RuleSet

ANY = RuleSet(()).with_default("toy", [(r.name, r.modality, r.kind) for r in ROLES])
CTP = Ctp(in_turn())
SLICES = [np.full((16, 16), 10.0 + k) for k in range(4)]
UNITS = {"tmax": "s", "cbf": "ml/100g/min", "cbv": "ml/100g", "mtt": "s"}


class Study:
    """A folder of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add_ncct(self, **options: Any) -> None:
        overrides = {"SeriesNumber": 2, **options.pop("overrides", {})}
        options = {"shape": (30, 16, 16), "seed": "ncct", "study_seed": "study", **options}
        write_ct_series(self.folder / options["seed"], overrides=overrides, **options)

    def add_cta(self) -> None:
        stated = {"SeriesNumber": 3, "SeriesDescription": "CTA", "ContrastBolusAgent": "IOHEXOL"}
        self.add_ncct(seed="cta", overrides=stated)

    def add(self, scanned: Ctp) -> None:
        scanned.write(self.folder / scanned.seed)

    def add_map(self, name: str, **given: Any) -> None:
        options = {"description": name.upper(), "rescale_type": UNITS.get(name), **given}
        write_map(self.folder / name, SLICES, seed=name, **options)

    def select(self) -> Selection:
        return select_series(scan([self.folder]), ROLES, NEEDS)

    def choose(self, rules: RuleSet = ANY, pipeline: Any = INFARCT_LIKE) -> Choice:
        files = [path for path in self.folder.rglob("*.dcm")]
        return StudySelector(rules)(pipeline, dict.fromkeys(files))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def taken(selection: Selection) -> dict[str, str]:
    return {role: one.listing.files[0].parent.name for role, one in selection.chosen.items()}


def codes(selection: Selection) -> set[str]:
    return {aside.code for aside in selection.set_aside}


def test_a_stroke_study_gives_perfusion_native_and_angiography_to_their_roles(
    study: Study,
) -> None:
    study.add_ncct()
    study.add_cta()
    study.add(CTP)

    assert taken(study.select()) == {"ctp": "ctp", "ncct": "ncct", "cta": "cta"}
    assert "at 12 time points" in study.select().chosen["ctp"].why


@pytest.mark.parametrize("stamp", [by_acquisition_time, by_mid_scan_time])
def test_a_perfusion_scan_is_known_by_its_times_whatever_it_is_called(
    study: Study, stamp: Any
) -> None:
    study.add(replace(CTP, stamp=stamp, overrides={"SeriesDescription": "HEAD 5.0"}))

    assert taken(study.select()) == {"ctp": "ctp"}


def test_an_enhanced_object_over_time_is_a_perfusion_scan(study: Study) -> None:
    CTP.write_enhanced(study.folder / "ctp")

    assert taken(study.select()) == {"ctp": "ctp"}


NO_PERFUSION: Mapping[str, tuple[Ctp, str]] = {
    "angiography in phases": (Ctp(at_once(3, step_s=8.0)), "TOO_FEW_TIME_POINTS"),
    "bolus tracking": (Ctp(at_once(20, 1)), "BOLUS_TRACKING"),
    "phases of a heartbeat": (
        Ctp(at_once(12), overrides={"NominalPercentageOfCardiacPhase": 70.0}),
        "CARDIAC_SERIES",
    ),
    "reconstructions within a second": (Ctp(at_once(12, step_s=0.05)), "NOT_DYNAMIC"),
    "a volume": (Ctp(at_once(1)), "NOT_DYNAMIC"),
    "no times": (Ctp(at_once(), stamp=without_time), "TIMES_UNKNOWN"),
    "a chest": (Ctp(at_once(), overrides={"BodyPartExamined": "CHEST"}), "NOT_A_HEAD"),
    "colour": (
        Ctp(at_once(), overrides={"PhotometricInterpretation": "PALETTE COLOR"}),
        "COLOUR_PIXELS",
    ),
    "a localizer": (
        Ctp(at_once(), overrides={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        "LOCALIZER",
    ),
    "a capture": (
        Ctp(at_once(), overrides={"SOPClassUID": SecondaryCaptureImageStorage}),
        "SECONDARY_CAPTURE",
    ),
    "iodine": (Ctp(at_once(), overrides={"RescaleType": "MGML"}), "UNSUITABLE_SERIES"),
}


@pytest.mark.parametrize(("other", "code"), NO_PERFUSION.values(), ids=NO_PERFUSION)
def test_what_is_no_perfusion_scan_is_set_aside_with_its_reason(
    study: Study, other: Ctp, code: str
) -> None:
    study.add(replace(other, seed="other"))
    study.add(CTP)

    found = study.select()

    assert taken(found) == {"ctp": "ctp"}
    assert code in {aside.code for aside in _against(study, "ctp")}


def _against(study: Study, role: str) -> tuple[Any, ...]:
    (wanted,) = (one for one in ROLES if one.name == role)
    return select_series(scan([study.folder]), (wanted,)).set_aside


def test_a_perfusion_scan_is_no_native_head_ct_and_the_other_way_round(study: Study) -> None:
    study.add_ncct()
    study.add(CTP)

    aspects = select_series(scan([study.folder]), TOY.roles)

    assert taken(aspects) == {"ncct": "ncct"}
    assert codes(aspects) == {"DYNAMIC_SERIES"}


def test_series_of_one_time_point_each_are_no_native_head_cts(study: Study) -> None:
    for t in range(12):
        one = Ctp(in_turn(12, 12)[t : t + 1], seed=f"t{t}", series_number=10 + t)
        study.add(replace(one, overrides={"ContrastBolusAgent": "", "SeriesDescription": "H"}))

    with pytest.raises(NoSuitableSeries, match="12 images at each position"):
        select_series(scan([study.folder]), TOY.roles)
    assert taken(study.select()) == {"ctp": "t0"}


def test_of_two_perfusion_scans_the_one_that_covers_more_is_taken(study: Study) -> None:
    study.add(replace(CTP, seed="small", series_number=4))
    study.add(Ctp(in_turn(12, 8), seed="large", series_number=9))

    assert taken(study.select()) == {"ctp": "large"}


DESCRIBED: Mapping[str, dict[str, Any]] = {
    "by its description": {},
    "in brackets": {"description": "RAPID_Tmax_[s]", "rescale_type": None},
    "by ImageType": {
        "description": "Series 7",
        "image_type": ("DERIVED", "SECONDARY", "PERFUSION", "TMAX"),
    },
    "in milliseconds": {"rescale_type": "ms"},
}


@pytest.mark.parametrize("given", DESCRIBED.values(), ids=DESCRIBED)
def test_maps_are_known_by_what_they_say_of_themselves(study: Study, given: dict[str, Any]) -> None:
    study.add_map("tmax", **given)
    study.add_map("cbf", image_type=("DERIVED", "SECONDARY", "AXIAL", "RCBF"), description="x")

    assert taken(study.select()) == {"tmax": "tmax", "cbf": "cbf"}


def test_all_maps_are_taken_and_no_map_is_taken_for_an_image(study: Study) -> None:
    for name in MAPS:
        study.add_map(name)
    study.add_ncct()

    assert taken(study.select()) == {**{name: name for name in MAPS}, "ncct": "ncct"}


def test_the_scan_itself_goes_before_ready_maps(study: Study) -> None:
    for name in MAPS:
        study.add_map(name)
    study.add(CTP)

    assert taken(study.select()) == {"ctp": "ctp"}
    assert codes(study.select()) == {"NOT_NEEDED"}


NO_MAP: Mapping[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no unit": ({"rescale_type": None}, UnsuitableSeries, "unit of its values is not stated"),
    "another unit": ({"rescale_type": "%"}, UnsuitableSeries, "is not known"),
    "a picture": (
        {"overrides": {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}},
        ColourPixels,
        "no measured values",
    ),
    "a capture": (
        {"overrides": {"SOPClassUID": SecondaryCaptureImageStorage}},
        ColourPixels,
        "no measured values",
    ),
    "several maps": ({"description": "CBF CBV MTT"}, NoSuitableSeries, "no perfusion map"),
}


@pytest.mark.parametrize(("given", "error", "said"), NO_MAP.values(), ids=NO_MAP)
def test_a_map_without_values_or_unit_is_refused_with_its_reason(
    study: Study, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    study.add_map("tmax")
    study.add_map("cbf", **given)

    with pytest.raises(error, match=said):
        study.select()


def test_the_error_names_what_is_missing_of_the_nearest_way(study: Study) -> None:
    study.add_ncct()
    with pytest.raises(NoSuitableSeries, match="No series fits as CT perfusion"):
        study.select()

    study.add_map("tmax")
    with pytest.raises(NoSuitableSeries, match="No series fits as cbf map"):
        study.select()


def test_the_choice_says_which_files_take_which_role(study: Study) -> None:
    study.add_ncct()
    study.add(CTP)

    choice = study.choose()

    assert {role: len(files) for role, files in choice.roles.items()} == {"ctp": 48, "ncct": 30}
    assert set(choice.files) == {file for files in choice.roles.values() for file in files}


def test_a_study_with_a_scan_asks_for_perfusion_and_one_without_does_not(study: Study) -> None:
    study.add_ncct()
    assert not study.choose().is_asked_for

    study.add(CTP)
    assert study.choose().is_asked_for and study.choose().problem is None


def test_the_shipped_rules_give_each_series_to_its_pipeline(study: Study) -> None:
    aspects, infarct = replace(TOY, name="aspects"), replace(INFARCT_LIKE, name="infarct")
    rules = shipped_rules({one.name: one for one in (aspects, infarct)})
    study.add_ncct()
    study.add_cta()
    study.add(CTP)

    first, second = study.choose(rules, aspects), study.choose(rules, infarct)

    assert {file.parent.name for file in first.files} == {"ncct"}
    assert {role: files[0].parent.name for role, files in second.roles.items()} == {
        "ctp": "ctp",
        "ncct": "ncct",
        "cta": "cta",
    }


def test_the_shipped_rules_start_no_perfusion_analysis_without_a_scan_or_maps(
    study: Study,
) -> None:
    infarct = replace(INFARCT_LIKE, name="infarct")
    rules = shipped_rules({infarct.name: infarct})
    study.add_ncct()
    study.add_cta()
    study.add_map("cbf", overrides={"SOPClassUID": SecondaryCaptureImageStorage})

    assert not study.choose(rules, infarct).is_asked_for


def test_a_scan_is_complete_by_time_points_and_slices(study: Study) -> None:
    study.add_ncct()
    study.add(CTP)

    assert study.choose().verdict is Basis.TIME_POINTS


def test_a_scan_that_lacks_an_image_waits(study: Study) -> None:
    study.add(replace(CTP, missing=[(4, 1)]))

    assert study.choose().verdict is Lack.UNEVEN_TIME_POINTS


def test_a_scan_with_few_time_points_so_far_waits(study: Study) -> None:
    study.add(Ctp(in_turn(7)))

    choice = study.choose()

    assert choice.is_asked_for and choice.verdict is Lack.NO_SERIES
    assert choice.problem is not None and "7 images at each position" in choice.problem


def test_the_native_scan_that_is_still_coming_is_waited_for(study: Study) -> None:
    study.add(CTP)
    study.add_ncct(missing=[7])

    assert study.choose().verdict is Lack.GAP


def test_ready_maps_wait_until_all_of_them_are_there(study: Study) -> None:
    for name in ("tmax", "cbf", "cbv"):
        study.add_map(name)
    assert study.choose().verdict is Lack.OTHER_MAPS

    study.add_map("mtt")
    assert study.choose().verdict is Basis.CONTIGUOUS_SLICES


def test_maps_that_this_service_made_start_nothing(study: Study) -> None:
    for name in MAPS:
        study.add_map(name, overrides=_own())

    assert not study.choose().is_asked_for


def _own() -> dict[str, Any]:
    from willis_service.adapters.dicom.result_headers import Equipment

    unit, concept, quantity, mapping = (Dataset() for _ in range(4))
    maker = Equipment("1", "1").manufacturer
    unit.CodeValue, concept.CodeValue = "s", "113084"
    quantity.ConceptCodeSequence = [concept]
    mapping.MeasurementUnitsCodeSequence = [unit]
    mapping.QuantityDefinitionSequence = [quantity]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 1.0, 0.0
    return {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.30",
        "Manufacturer": maker,
        "RealWorldValueMappingSequence": [mapping],
    }
