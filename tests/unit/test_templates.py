"""Names of files; the expected ones are those that the client gave to the same datasets."""

from __future__ import annotations

import pytest

from registrytool.errors import ConfigurationError
from registrytool.instruments.templates import choose_template, format_template

RAW = ("band", "instrument", "day_obs", "detector", "group", "physical_filter", "exposure")
VALUES = {
    "run": "HSC/raw/all", "datasetType": "raw", "instrument": "HSC", "physical_filter": "F r", "band": "r",
    "exposure.obs_id": "o 1", "exposure.day_obs": 20260101, "day_obs": 20260101, "group": "g1", "detector": 1,
    "detector.full_name": "a b/c#d", "exposure": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "HSC/raw/all/raw/20260101/o_1/raw_HSC_F_r_o_1_a_b_cHASHd_HSC_raw_all"),
        (
            {"exposure.obs_id": "o/2 '\"%:é?&=", "physical_filter": "x/y@z"},
            "HSC/raw/all/raw/20260101/o_2_'_%_é_&=/raw_HSC_x_y@z_o_2_'_%_é_&=_a_b_cHASHd_HSC_raw_all",
        ),
        (
            {"exposure.obs_id": "a\\b$c!d*(e)[f]<g>|h`i^j"},
            (
                "HSC/raw/all/raw/20260101/a_b$c!d_(e)[f]_g__h`i^j/"
                "raw_HSC_F_r_a_b$c!d_(e)[f]_g__h`i^j_a_b_cHASHd_HSC_raw_all"
            ),
        ),
        ({"run": "u/ü x#y"}, "u/ü_x#y/raw/20260101/o_1/raw_HSC_F_r_o_1_a_b_cHASHd_u_ü_xHASHy"),
    ],
)
def test_raw_files_are_named_as_the_client_names_them(changes: dict[str, object], expected: str) -> None:
    assert format_template(choose_template(None, "raw", "Exposure", RAW), VALUES | changes) == expected


def test_other_files_are_named_as_the_client_names_them() -> None:
    dimensions = [d for d in RAW if d != "detector"]
    values = VALUES | {"datasetType": "photodiode", "detector.full_name": None}
    expected = "HSC/raw/all/photodiode/20260101/r/F_r/o_1/photodiode_HSC_r_F_r_o_1_HSC_raw_all"
    assert format_template(choose_template(None, "photodiode", "IsrCalib", dimensions), values) == expected


def test_templates_of_butler_yaml_come_first() -> None:
    own = {"raw": "{run:/}/{exposure}_{nothing:?}_{detector}", "default": "{run}"}
    assert format_template(choose_template(own, "raw", "Exposure", RAW), VALUES) == "HSC/raw/all/1_1"
    assert choose_template(own, "other", "Exposure", ()) == "{run}"
    assert choose_template({"Exposure": "x"}, "raw", "Exposure", RAW) == "x"


def test_no_template_leads_out_of_the_datastore() -> None:
    assert ".." not in format_template(choose_template(None, "raw", "E", RAW), VALUES | {"exposure.obs_id": "../.."})
    with pytest.raises(ConfigurationError) as caught:
        format_template("../{run}", VALUES)
    assert (
        caught.value.message
        == "The file template '../{run}' gives '../HSC_raw_all', which is not inside of the datastore."
    )
    with pytest.raises(ConfigurationError) as caught:
        format_template("{run}/{visit}", VALUES)
    assert caught.value.message == "The file template '{run}/{visit}' needs visit, which has no value."
