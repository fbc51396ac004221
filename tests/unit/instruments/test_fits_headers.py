"""Headers of FITS files: the same values as those of astropy, and files that are cut off."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.card import Undefined

from registrytool.instruments.fits_headers import CutOffError, NotFitsError, parse_header, read_primary
from tests.support import raws

if TYPE_CHECKING:
    from pathlib import Path


def by_astropy(header: fits.Header) -> dict[str, Any]:
    values = {name: header[name] for name in header if name not in ("COMMENT", "HISTORY", "")}
    return {name.upper(): None if isinstance(value, Undefined) else value for name, value in values.items()}


def test_values_are_those_of_astropy_whatever_a_card_looks_like() -> None:
    header = fits.Header()
    for name, value in {
        "QUOTE": "it's / x", "LONG": "x'y " * 60, "HIERARCH foo bar": 3.5, "SMALL": 1.5e-30, "NONE": Undefined(),
        "COMPLEX": 1 + 2j, "EMPTY": "", "NEG": -5, "YES": True, "NO": False, "LEAD": "  a", "BIG": 2**62, "ZERO": 0.0,
        "HIERARCH ESO DET ID": "v/1",
    }.items():  # fmt: skip
        header[name] = value
    header["WITH"] = ("value", "a comment ' with / odd")
    header.add_comment("c" * 100)
    header.add_history("h")
    text = header.tostring(padding=False, endcard=False)
    # As other programs write them.
    others = (
        "D       =   1.5D+03",
        "I       = +7",
        "FIRST   = 1",
        "FIRST   = 2",
        "BARE    =",
        "POINT   = .5",
    )
    text += "".join(f"{card:<80}" for card in others)
    found, expected = parse_header(text), by_astropy(fits.Header.fromstring(text))
    assert found == expected
    assert {n: type(v) for n, v in found.items()} == {n: type(v) for n, v in expected.items()}


def test_a_first_header_without_data_is_merged_with_the_second(tmp_path: Path) -> None:
    path = raws.decam(tmp_path / "d.fits")
    with path.open("rb") as stream:
        found = read_primary(stream, path.stat().st_size)
    assert found is not None
    assert (found["INSTRUME"], found["CCDNUM"], found["NAXIS"]) == ("DECam", 1, 2)


def whole() -> bytes:
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((30, 100), np.int16)), fits.BinTableHDU.from_columns([])]
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (1000, "the header of HDU 0 has no end"),
        (2880 + 1000, "the header of HDU 1 has no end"),
        (2 * 2880 + 100, "the data of HDU 1 should end at byte 11760, and the file does at 5860"),
        (2 * 2880 + 6000 - 1, "the data of HDU 1 should end at byte 11760, and the file does at 11759"),
    ],
)
def test_a_file_that_is_cut_off_says_where(length: int, reason: str) -> None:
    with pytest.raises(CutOffError) as caught:
        read_primary(io.BytesIO(whole()[:length]), length)
    assert str(caught.value) == reason


def test_what_is_compressed_is_left_to_astropy_and_what_follows_is_no_fault() -> None:
    assert read_primary(io.BytesIO(b"\x1f\x8b" + b"0" * 100), 102) is None
    with pytest.raises(NotFitsError):
        read_primary(io.BytesIO(b"no FITS"), 7)
    more = whole() + b"\0" * 100
    assert read_primary(io.BytesIO(more), len(more)) is not None
