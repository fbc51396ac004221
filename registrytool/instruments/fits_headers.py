"""Headers of FITS files as plain dictionaries, and whether the files are whole.

Only headers are read, never data.  A dictionary answers a translator several times faster than a header of astropy,
which reads the cards that are written in an unusual way, and the files that are compressed as a whole.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK, _CARD = 2880, 80
_STRING = re.compile(r" *'((?:[^']|'')*)' *(?:/.*)?$")
_PLAIN = re.compile(r" *([^ /']*) *(?:/.*)?$")
_INTEGER = re.compile(r"[+-]?\d+$")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?$")
_LOGICAL = {"T": True, "F": False}

#: How files begin that astropy reads: of gzip, bzip2, zip, compress, and unusual ones.
_OTHERS = (b"\x1f\x8b", b"BZh", b"PK\x03\x04", b"\x1f\x9d", b"SIMPLE")

Header = dict[str, Any]


class NotFitsError(Exception):
    """A file is something else than FITS."""


class CutOffError(Exception):
    """A file ends before its last header or the data after it; the text says where."""


def read_primary(stream: IO[bytes], size: int) -> Header | None:
    """Return the first header of a file, merged with the second where the first has no data.

    Parameters
    ----------
    stream : file
        The file; it can be positioned.
    size : `int`
        How many bytes it has.

    Returns
    -------
    header : `dict` or `None`
        Values by keyword; comments are left out, and what has no value is `None`.  `None` instead of a header if the
        file is compressed as a whole, or written in an unusual way.

    Raises
    ------
    CutOffError
        The file is not as long as its headers say.
    NotFitsError
        It is something else.
    """
    beginning = stream.read(10)
    if beginning != b"SIMPLE  = ":
        if not beginning.startswith(_OTHERS):
            raise NotFitsError
        return None
    headers = list(_headers(stream, size))
    primary = parse_header(headers[0])
    if not primary.get("NAXIS") and len(headers) > 1:
        primary |= parse_header(headers[1])
    return primary


def _headers(stream: IO[bytes], size: int) -> Iterator[str]:
    """Return the text of each header; what follows the last one and is no header does not count."""
    position = number = 0
    while position < size:
        stream.seek(position)
        text = b""
        while (end := _end(text)) is None:
            block = stream.read(_BLOCK)
            if number and not text and not block.startswith(b"XTENSION"):
                return
            if len(block) < _BLOCK:
                message = f"the header of HDU {number} has no end"
                raise CutOffError(message)
            text += block
        position += len(text)
        header = text[:end].decode("latin-1")
        yield header
        length = _data_length(header)
        if position + length > size:
            message = f"the data of HDU {number} should end at byte {position + length}, and the file does at {size}"
            raise CutOffError(message)
        position += -(-length // _BLOCK) * _BLOCK
        number += 1


def _end(text: bytes) -> int | None:
    """Return where the END card of a header is, looking only at the last block."""
    for start in range(max(0, len(text) - _BLOCK), len(text), _CARD):
        if text.startswith(b"END     ", start):
            return start
    return None


def _data_length(header: str) -> int:
    """Return how many bytes of data follow a header."""
    found = {"BITPIX": 8, "NAXIS": 0, "PCOUNT": 0, "GCOUNT": 1}
    axes: dict[str, int] = {}
    # These are among the first cards.
    for start in range(0, len(header), _CARD):
        keyword = header[start : start + 8].rstrip()
        if keyword in found or keyword.startswith("NAXIS"):
            match = _PLAIN.match(header[start + 10 : start + _CARD])
            if match is not None and _INTEGER.match(match[1]):
                (found if keyword in found else axes)[keyword] = int(match[1])
    if not found["NAXIS"]:
        return 0
    length = 1
    for axis in range(1, found["NAXIS"] + 1):
        length *= axes.get(f"NAXIS{axis}", 0)
    return abs(found["BITPIX"]) // 8 * found["GCOUNT"] * (found["PCOUNT"] + length)


def parse_header(text: str) -> Header:
    """Return the values of the cards of a header; of several cards of one keyword the first counts.

    Parameters
    ----------
    text : `str`
        Cards of 80 characters, without END.
    """
    header: Header = {}
    for card in _cards(text):
        keyword, value = _parse_card(card)
        if keyword:
            header.setdefault(keyword, value)
    return header


def _cards(text: str) -> Iterator[str]:
    """Return cards, those that continue a string together with it."""
    card = ""
    for start in range(0, len(text), _CARD):
        part = text[start : start + _CARD]
        if part.startswith("CONTINUE"):
            card += part
            continue
        yield card
        card = part
    yield card


def _parse_card(card: str) -> tuple[str, Any]:
    if len(card) <= _CARD and card[8:10] == "= ":
        keyword, value = card[:8].rstrip(), card[10:]
    elif len(card) <= _CARD and card.startswith("HIERARCH ") and "=" in card:
        keyword, _, value = card[9:].partition("=")
        keyword = keyword.strip()
    elif len(card) > _CARD:
        return _unusual(card)
    else:
        return "", None
    if (match := _STRING.match(value)) is not None:
        return keyword.upper(), match[1].replace("''", "'").rstrip(" ")
    if (match := _PLAIN.match(value)) is not None:
        word = match[1]
        if word in _LOGICAL:
            return keyword.upper(), _LOGICAL[word]
        if not word:
            return keyword.upper(), None
        if _INTEGER.match(word):
            return keyword.upper(), int(word)
        if _FLOAT.match(word):
            return keyword.upper(), float(word.replace("D", "E"))
    return _unusual(card)


def _unusual(card: str) -> tuple[str, Any]:
    """Read a card as astropy does, with its errors."""
    from astropy.io.fits import Card
    from astropy.io.fits.card import Undefined

    found = Card.fromstring(card)
    if found.keyword in ("", "COMMENT", "HISTORY"):
        return "", None
    return found.keyword, None if isinstance(found.value, Undefined) else found.value
