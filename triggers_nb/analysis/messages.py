"""What is left of an error message when its values are taken out.

Numbers, identifiers with digits, dates, paths, addresses and quoted values become ``<*>``: two messages that say the
same about other things become equal. One placeholder for all of them, since the same hole is filled with a number here
and a text there. Linear in the length; masking twice changes nothing.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Final

MASK: Final = "<*>"

#: Errors whose quoted identifiers name the cause: `'seats'` and `'year'` are two.
_NAMING: Final = ("KeyError", "AttributeError", "NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError")
#: What the interpreter says about the types and arguments of a call; it quotes names, not values.
_INTERPRETER: Final = re.compile(
    r"unsupported operand type|not supported between instances|required (?:positional|keyword-only) argument"
    r"|unexpected keyword argument|multiple values for|object (?:is not|has no|cannot|does not)|can only concatenate"
)
_IDENTIFIER: Final = re.compile(r"[^\W\d]+(?:[.-][^\W\d]+)*$")

#: Names of things, although there are digits in them.
_NAMES: Final = re.compile(
    r"(?:u?int|float|complex|bool)(?:8|16|32|64|128)|(?:datetime|timedelta)64|utf-?(?:8|16|32)|latin-?1|base(?:16|32|64)"
    r"|iso-?8859-\d+|cp\d{3,4}|sha-?\d+|md5|crc-?32|ipv[46]|http[12]|oauth2|s3|k8s|sqlite3|psycopg[23]|urllib3|h11|jinja2"
    r"|boto3|x86_64|python[23]|int4|int2",
    re.IGNORECASE,
)
#: Short words in capitals that are no codes of airports, countries or currencies.
_ACRONYMS: Final = re.compile(
    r"AND|API|BOM|CA|CPU|CRC|CSV|DB|DNS|DOM|EOF|FROM|GET|GIL|GPU|GZIP|HTML|HTTP|ID|IN|INTO|IO|IP|IS|ISO|JOIN|JPEG|JSON|JWT"
    r"|KEY|LDAP|MIME|NO|NOT|NULL|OF|OK|ON|OR|OS|PDF|PNG|POST|PUT|RAM|RPC|SET|SMTP|SQL|SSH|SSL|TAR|TCP|TLS|TO|TOML|TTL|UDP"
    r"|URI|URL|UTC|UTF|UUID|XML|YAML|ZIP"
)
_EXTENSION: Final = re.compile(
    r"[\w-][\w.-]*\.(?:csv|tsv|txt|json|jsonl|xml|ya?ml|toml|ini|cfg|parquet|feather|xlsx?|pdf|html?|log|db|sqlite3?|py"
    r"|ipynb|zip|gz|tgz|bz2|xz|tar|bin|dat|png|jpe?g|svg|tmp|lock|pickle|pkl|sql)$",
    re.IGNORECASE,
)
_HOST: Final = re.compile(
    r"[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|local|internal|example|test|invalid|localdomain)\.?$|localhost$",
    re.IGNORECASE,
)
_ADDRESS: Final = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+$"  # mail
    r"|(?:localhost|[\w-]*[\d.-][\w.-]*):\d{1,5}$"  # host and port
    r"|[\da-f]{2}(?:[:-][\da-f]{2}){5}$|[\da-f]*:[\da-f:]*:[\da-f.:%]*$",  # MAC, IPv6
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\|~?/[\w.-]|\.{1,2}[\\/]")
_DIGITS: Final = re.compile(r"(?<![A-Za-z0-9_.%+#-])[A-Za-z_.%+#-]*\d[A-Za-z0-9_.%+#-]*|\d+")
_HEX: Final = re.compile(r"[\da-f]{8,}$", re.IGNORECASE)
#: The second word after a number, and the first.
_PLURALS: Final = tuple(
    re.compile(rf"(<\*> {first}(?!(?i:status))[^\W\d_]{{3,}}(?<!s))s\b") for first in (r"[^\W\d_]+ ", "")
)
_QUANTITY: Final = (
    r"[-+]?\d[\d.,_]{0,30}\s?(?:[KMGTPE]i?B|bytes?|[mun]?s|sec(?:ond)?s?|min(?:ute)?s?|hours?|days?)(?![\w-])"
)
#: A line of foreign text, and the line below that points into it.
_POINTER: Final = re.compile(r"^.*\n[ \t]*\^+[ \t]*$", re.MULTILINE)
_STATEMENT: Final = re.compile(r"\n\[SQL: .*", re.DOTALL)

_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_WEEKDAY: Final = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},?\s)?"
_CLOCK: Final = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)(?!\w))?"
_DATE: Final = (
    rf"(?:{_WEEKDAY}(?:\d{{4}}-\d\d?-\d\d?|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|\d{{1,2}}[ -]{_MONTH}[ -]\d{{4}}"
    rf"|{_MONTH}\s{{1,2}}\d{{1,2}}(?:,? \d{{4}})?)(?:[T ,]\s?{_CLOCK}(?: \d{{4}})?)?|(?:\d+ days?, )?{_CLOCK})(?!\w)"
)
_QUOTATION_MARKS: Final = frozenset(["''", '""', "“”", "„“", "„”", "«»", "‘’", "「」"])
#: From a quote to its like; one within a word is an apostrophe, and one that is missing was cut off.
_QUOTES: Final = r"""(?:'(?:(?:[^'\\\n]|\\.|'(?=\w))*+'|[^\n]*$)|"(?:(?:[^"\\\n]|\\.|"(?=\w))*+"|[^\n]*$))"""
#: How words begin that are more than words.
_SPECIAL: Final = (
    r"(?i:http|status|localhost)|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun"
    r"|[A-Fa-f]{8}|[A-Z]{2,4}\b"
)
_WORD: Final = r"""[^\s,;()\[\]{}'"=<>|“”„«»‘’「」]"""
_TOKENS: Final = re.compile(
    rf"(?P<plain>(?<!=)(?:(?!{_SPECIAL})[A-Za-z_]++(?:[,.:;!?]?\s|$))++)"
    rf"|(?P<mask>{_WORD}*+(?:<\*>(?:(?!(?i:http|status)){_WORD}++)?)++)"
    r"|(?P<status>(?<!\w)(?i:http|(?:http )?status(?:[ _]code)?|http error)[ :=]{1,3}[1-5]\d\d(?!\w))"
    r"|(?P<redacted>\[redacted:[^\]\n]{0,99}\])"
    rf"|(?P<quoted>(?<![^\W぀-鿿가-힯])(?<![>'\"])[bruf]{{0,2}}{_QUOTES})"
    r"|(?P<typographic>“[^”\n]*(?:”|$)|„[^“”\n]*(?:[“”]|$)|«[^»\n]*(?:»|$)|‘[^’\n]*(?:’|$)|「[^」\n]*(?:」|$))"
    rf"|(?P<date>(?=[\dA-Z])(?<![\w.:/-]){_DATE})"
    rf"|(?P<quantity>(?<![\w.:/-]){_QUANTITY})"
    r"|(?P<url>(?<![\w+.-])[A-Za-z][\w+.-]{0,20}://[^\s'\"<>)\]}]*)"
    rf"|(?P<assigned>(?<==){_WORD}+)"
    rf"|(?P<word>{_WORD}+)",
    re.MULTILINE,
)
_SEQUENCE: Final = re.compile(r"<\*>(?:[ \t]?[,;:/|+-]?[ \t]?<\*>)+")
_BRACKETS: Final = re.compile(r"<\*>|[\[({]|[\])}]|[^\[\](){}<]+|<")
_FILLING: Final = re.compile(r"(?:[\s,;:=|/.+-]|(?:True|False|None|NaN|nan|NaT|null|true|false|<NA>)\b)*+$")
_WHOLE: Final = re.compile(r"""(['"])((?:[^'"\\\n]|\\.|(?!\1)['"])*+)\1$""")
_MAX_WORD: Final = 200


def names_its_cause(message: str, exception_type: str) -> bool:
    """Tell whether quoted identifiers of a message are names in the code, not values."""
    name = exception_type.rpartition(".")[2]
    if name.endswith(_NAMING):
        return not message.startswith("(")
    return name == "TypeError" and _INTERPRETER.search(message) is not None


def is_identifier(word: str) -> bool:
    """Tell whether a word is a name in code, with dots maybe, but without digits; no file is."""
    return _IDENTIFIER.match(word) is not None and _EXTENSION.match(word) is None


def mask_message(text: str, exception_type: str = "") -> str:
    """Replace the values in an error message by ``<*>``.

    Parameters
    ----------
    text : str
        The message, as ``str(error)`` gives it.
    exception_type : str
        Name of the error's class, with or without its module. Of a `KeyError`, an `AttributeError`, a `NameError` and
        an `ImportError`, quoted identifiers without digits stay.

    Returns
    -------
    str
        In one line.

    Examples
    --------
    >>> mask_message("flight UA1545 on 2013-01-01 has 3 seats", "app.errors.BookingError")
    'flight <*> on <*> has <*> seat'
    >>> mask_message("no plane named 'N14228' in /srv/data/planes.csv", "ValueError")
    'no plane named <*> in <*>'
    >>> mask_message("'seats'", "KeyError"), mask_message("'N14228'", "KeyError")
    ("'seats'", '<*>')
    """
    keep = names_its_cause(text, exception_type)
    whole = _WHOLE.match(text)
    if whole and (" " in whole[2] if not keep else not is_identifier(whole[2])):
        text = whole[2].replace(f"\\{whole[1]}", whole[1])
    text = _POINTER.sub("", _STATEMENT.sub("", text))
    masked = _join_lines(_TOKENS.sub(_keep_names if keep else _mask_all, text))
    masked = _SEQUENCE.sub(MASK, _fold_brackets(masked))
    for plural in _PLURALS:
        masked = plural.sub(r"\1", masked)
    return _drop_repetitions(masked)


def _mask_all(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind == "word":
        return _mask_word(found[0])
    return found[0] if kind in ("plain", "mask", "status") else MASK


def _keep_names(found: re.Match[str]) -> str:
    if found.lastgroup in ("quoted", "typographic"):
        quoted = found[0].lstrip("bruf")
        inner, is_whole = quoted[1:-1], found[0] == found.string
        # A code within a sentence, such as an airport's, is a value; as a whole message it is a key.
        if quoted[0] + quoted[-1] in _QUOTATION_MARKS and is_identifier(inner) and (is_whole or not _is_code(inner)):
            return found[0]
    return _mask_all(found)


@lru_cache(maxsize=4096)
def _mask_word(word: str) -> str:
    if len(word) > _MAX_WORD and word.isascii():
        return MASK
    core = word.rstrip(".:!?")
    rest = word[len(core) :]
    if core.isalnum() and core.isascii() and not core.isalpha():
        return word if _NAMES.fullmatch(core) else MASK + rest
    if _is_value(core):
        return MASK + rest
    return _DIGITS.sub(_mask_digits, core) + rest


def _is_code(word: str) -> bool:
    """Tell whether a word is a code of an airport, a country or a currency."""
    return 1 < len(word) < 5 and word.isascii() and word.isalpha() and word.isupper() and not _ACRONYMS.fullmatch(word)


def _is_value(word: str) -> bool:
    """Tell whether a whole word is a path, an address or a hash."""
    if word.isalpha() and word.isascii():
        if len(word) < 5:
            return _is_code(word)
        return len(word) >= 8 and (word.lower() == "localhost" or _HEX.match(word) is not None)
    if "/" in word and (word.count("/") > 1 or any(map(str.isdigit, word))):
        return True
    patterns = (_PATH.match, _ADDRESS.match, _HOST.match, _EXTENSION.match)
    return len(word) <= _MAX_WORD and any(match(word) for match in patterns)


def _mask_digits(found: re.Match[str]) -> str:
    return found[0] if _NAMES.fullmatch(found[0]) else MASK


def _fold_brackets(text: str) -> str:
    """Replace brackets that hold nothing but values: lists differ in length, too."""
    if not any(bracket in text for bracket in "[({"):
        return text
    done: list[str] = []
    starts: list[int] = []
    pure = [False]
    for part in _BRACKETS.findall(text):
        if part in "[({":
            starts.append(len(done))
            pure.append(True)
        elif part in "])}" and starts:
            start, values = starts.pop(), pure.pop()
            if values and not (part == ")" and len(done) == start + 1):
                del done[start:]
                part = MASK
            else:
                pure[-1] = False
        else:
            pure[-1] &= part == MASK or _FILLING.match(part) is not None
        done.append(part)
    return "".join(done)


def _join_lines(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return " ".join(line for line, _ in itertools.groupby(lines) if line)


def _drop_repetitions(text: str) -> str:
    """Leave one of equal items in a row: a message about three rows says no more than one about two."""
    for separator in ("; ", ", "):
        groups = itertools.groupby(text.split(separator), key=_strip_introduction)
        text = separator.join(next(items) for _, items in groups)
    return text


def _strip_introduction(item: str) -> str:
    return item.rpartition(": ")[2]
