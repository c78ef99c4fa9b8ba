"""How wide text is, without a browser, so that it can be cut before it overflows.

Widths are those of the widest of the fonts that a reader may have (DejaVu Sans, which is as wide as Verdana, and
Liberation Sans and Nimbus Sans, which are as wide as Arial and Helvetica); kerning is ignored. What is not in the
tables is taken to be wide.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

# fmt: off
#: Advance widths of U+0020 to U+007E, in thousandths of the font size.
_REGULAR: Final = (
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 501, 838, 318, 361, 318, 337, 637, 637, 637,
    637, 637, 637, 637, 637, 637, 637, 337, 337, 838, 838, 838, 557, 1016, 685, 687, 723, 771, 668,
    612, 779, 752, 295, 501, 668, 558, 863, 749, 788, 668, 788, 723, 668, 612, 732, 685, 989, 686,
    668, 686, 391, 337, 391, 838, 557, 501, 613, 635, 550, 635, 616, 353, 635, 634, 278, 278, 580,
    278, 975, 634, 612, 635, 635, 412, 521, 393, 634, 592, 818, 592, 592, 525, 637, 337, 637, 838,
)
_BOLD: Final = (
    349, 457, 521, 838, 696, 1002, 873, 307, 458, 458, 523, 838, 380, 416, 380, 366, 696, 696, 696,
    696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 612, 1001, 774, 763, 734, 831, 684,
    684, 821, 837, 373, 557, 775, 638, 996, 837, 851, 733, 851, 771, 721, 683, 813, 774, 1104, 771,
    725, 726, 458, 366, 458, 838, 557, 501, 675, 716, 593, 716, 679, 436, 716, 712, 343, 343, 666,
    343, 1042, 712, 688, 716, 716, 494, 596, 479, 712, 652, 924, 646, 652, 583, 712, 366, 712, 838,
)
# fmt: on

_ELLIPSIS: Final = "…"


def text_width(text: str, size_px: float, *, bold: bool = False) -> float:
    """Return the width of a line of text, in pixels; never less than what a browser draws in the usual fonts.

    >>> text_width("iii", 10) < text_width("WWW", 10) < text_width("WWW", 10, bold=True)
    True
    """
    return sum(_advance(character, bold) for character in text) * size_px / 1000


def is_measured(text: str) -> bool:
    """Tell whether all widths are known, not assumed."""
    return text.replace(_ELLIPSIS, "").replace("·", "").isascii()


def cut_end(text: str, width_px: float, size_px: float, *, bold: bool = False) -> str:
    """Return the text, or as much of its beginning as fits, with an ellipsis.

    >>> cut_end("waits for t_identifyPlane", 80, 11.5)
    'waits for t_i…'
    """
    if text_width(text, size_px, bold=bold) <= width_px:
        return text
    room = width_px - text_width(_ELLIPSIS, size_px, bold=bold)
    return _beginning(text, room, size_px, bold).rstrip() + _ELLIPSIS


def cut_middle(text: str, width_px: float, size_px: float, *, bold: bool = False) -> str:
    """Return the text, or its beginning and its end with an ellipsis between: names differ at both.

    >>> cut_middle("t_aVeryLongNameIndeedOfATask#12", 120, 13)
    't_aVeryLo…k#12'
    """
    if text_width(text, size_px, bold=bold) <= width_px:
        return text
    room = width_px - text_width(_ELLIPSIS, size_px, bold=bold)
    end = _beginning(text[::-1], room * 0.35, size_px, bold)[::-1]
    while end and _joins(end[0]):
        end = end[1:]
    begin = _beginning(text, room - text_width(end, size_px, bold=bold), size_px, bold)
    return begin + _ELLIPSIS + end


def _beginning(text: str, width_px: float, size_px: float, bold: bool) -> str:
    """Return as much of the text as fits, not ending inside a joined sequence."""
    room = width_px * 1000 / size_px
    length = 0
    for character in text:
        room -= _advance(character, bold)
        if room < 0:
            break
        length += 1
    while 0 < length < len(text) and (_joins(text[length]) or text[length - 1] == "\u200d"):
        length -= 1
    return text[:length]


def _joins(character: str) -> bool:
    """Tell whether a character belongs to the one before it."""
    return character in "\u200c\u200d\ufe0e\ufe0f" or unicodedata.combining(character) != 0


@lru_cache(maxsize=4096)
def _advance(character: str, bold: bool) -> int:
    """Return the width of a character, in thousandths of the font size."""
    code = ord(character)
    if 0x20 <= code <= 0x7E:
        return (_BOLD if bold else _REGULAR)[code - 0x20]
    if _joins(character):
        return 0
    base = ord(unicodedata.normalize("NFD", character)[0])
    if 0x20 <= base <= 0x7E:
        return _advance(chr(base), bold)
    if unicodedata.category(character)[0] == "L" and code < 0x590:
        return 950 if bold else 850
    if character == _ELLIPSIS:
        return 1000
    return 1450 if code >= 0x1F000 else 1120
