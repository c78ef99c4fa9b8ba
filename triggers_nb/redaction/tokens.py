"""Secrets and personal data that are known by their form: vendors' tokens, JWT, private keys, e-mail, cards, IBAN."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from triggers_nb.redaction.markers import Span


class Form(NamedTuple):
    """One form of tokens: looked for only in texts that hold its literal."""

    #: Text that every such token has in it.
    literal: str
    #: Group 1, or the whole match, is the secret. Repetitions are possessive: no match takes more than one pass.
    pattern: re.Pattern[str]
    #: What else must hold for a match.
    check: Callable[[str], bool] | None = None

    def find(self, text: str) -> Iterator[Span]:
        """Yield the spans of such tokens in `text`."""
        group = self.pattern.groups
        for found in self.pattern.finditer(text):
            if self.check is None or self.check(found[group]):
                yield found.span(group)


def _is_mixed(token: str) -> bool:
    """Say whether `token` has digits and capitals, as random ones do and names do not."""
    return any(c.isdigit() for c in token) and any(c.isupper() for c in token)


def _is_basic(token: str) -> bool:
    """Say whether `token` is the base64 form of `user:password`."""
    try:
        return b":" in base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except ValueError:
        return False


# Escapes that a repr, JSON, a URL or a terminal puts before a token are not a part of it, though they end in letters.
_ESCAPED = r"(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=\x1b\[\dm)|(?<=\x1b\[\d\dm)"
_START = rf"(?:(?<![A-Za-z0-9])|{_ESCAPED})"
_RUN_START = rf"(?:(?<![\w-])|{_ESCAPED})"
_END = r"(?![A-Za-z0-9])"


def _is_login(token: str) -> bool:
    """Say whether `token` is `user:password`, not the numbers or the one name of a user and its group."""
    user, _, password = token.partition(":")
    return user != password and not (user.isdigit() and password.isdigit())


def _form(literal: str, pattern: str, check: Callable[[str], bool] | None = None) -> Form:
    return Form(literal, re.compile(pattern), check)


# GitHub, npm, Stripe, Shopify, DigitalOcean, Grafana, Linear, Notion, Groq, Hugging Face: a prefix that ends in "_".
_UNDERSCORED = (
    _form("gh", r"gh[opusr]_[A-Za-z0-9]{30,}+"),
    _form("github_pat_", r"github_pat_\w{22,}+"),
    _form("npm_", r"npm_[A-Za-z0-9]{36,}+"),
    _form("k_", _START + r"[srp]k_(?:live|test)_[A-Za-z0-9]{10,}+"),
    _form("whsec_", r"whsec_[A-Za-z0-9+/=]{24,}+"),
    _form("shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}+"),
    _form("_v1_", r"do[opr]_v1_[0-9a-f]{64}+"),
    _form("gl", r"gl(?:sa|c)_[A-Za-z0-9+/_=]{32,}+"),
    _form("lin_api_", r"lin_api_[A-Za-z0-9]{32,}+"),
    _form("ntn_", _START + r"ntn_[A-Za-z0-9]{40,}+"),
    _form("gsk_", _START + r"gsk_[A-Za-z0-9]{40,}+"),
    _form("hf_", _START + r"hf_[A-Za-z0-9]{30,}+"),
)
# GitLab, Slack, Google, OpenAI and alike, PyPI, Mailgun, New Relic, Postman, Square, age: a prefix that ends in "-".
_HYPHENED = (
    _form("gl", r"gl(?:pat|dt|rt|ptt|cbt|ft|soat|imt|agent)-[\w-]{18,}+(?:\.[\w.-]++)?"),
    _form("xox", r"xox[abeoprs]-(?:\d-)?[A-Za-z0-9-]{10,}+"),
    _form("xapp-", r"xapp-\d-[A-Za-z0-9-]{10,}+"),
    _form("GOCSPX-", r"GOCSPX-[\w-]{20,}+"),
    _form("sk-", _START + r"sk-[\w-]{20,}+", _is_mixed),
    _form("pypi-", r"pypi-[\w-]{50,}+"),
    _form("key-", _START + r"key-[0-9a-f]{32}+" + _END),
    _form("NRAK-", r"NRAK-[A-Z0-9]{27}+"),
    _form("PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    _form("sq0", r"sq0(?:atp|csp|idp)-[\w-]{22,}+"),
    _form("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}+"),
)
# AWS, Google, SendGrid, Twilio, Telegram, Databricks, Vault, Atlassian, Azure, JWT, webhooks, `curl -u`, Authorization.
_OTHERS = (
    _form("A", _START + r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}+" + _END),
    _form("AIza", r"AIza[\w-]{35}+"),
    _form("ya29.", _START + r"ya29\.[\w-]{20,}+"),
    _form("SG.", _START + r"SG\.[\w-]{16,32}+\.[\w-]{16,64}+"),
    _form("SK", _START + r"SK[0-9a-f]{32}+" + _END),
    _form(":AA", r"(?<!\d)\d{8,10}+:AA[\w-]{32,36}+(?!\w)"),
    _form("dapi", _START + r"dapi[0-9a-f]{32}+(?:-\d)?" + _END),
    _form("hv", _START + r"hv[sbr]\.[\w-]{24,}+"),
    _form("ATATT3", r"ATATT3[\w=-]{40,}+"),
    _form("8Q~", r"(?<![\w.~-])[\w.~-]{3}8Q~[\w.~-]{31,34}+"),
    _form("eyJ", _RUN_START + r"eyJ[\w-]{8,}+\.[\w-]{2,}+(?:\.[\w-]*+){1,3}"),
    _form("hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{20,}+)"),
    _form("/api/webhooks/", r"/api/webhooks/(\d{15,21}+/[\w-]{40,}+)"),
    _form(" -u", r""" -u ?["']?([^\s:"'-][^\s:"']{0,100}:[^\s"']++)""", _is_login),
    _form("earer ", r"(?<![A-Za-z])(?i:bearer) +([\w.~+/=-]{16,}+)", _is_mixed),
    _form("asic ", r"(?<![A-Za-z])(?i:basic) +([A-Za-z0-9+/]{8,}+=*+)", _is_basic),
)
_LONG_AFTER_UNDERSCORE = re.compile(r"_[A-Za-z0-9+/]{10}")
_LONG_AFTER_HYPHEN = re.compile(r"-[\w-]{10}")


def find_tokens(line: str) -> list[Span]:
    """Return the spans of what in a line is a secret or personal by its form, in linear time."""
    spans = [*find_emails(line), *find_cards(line), *find_ibans(line)]
    for forms in _forms_for(line):
        for form in forms:
            if form.literal in line:
                spans += form.find(line)
    return spans


def _forms_for(line: str) -> Iterator[tuple[Form, ...]]:
    """Yield the forms that can be in `line` at all: asking for every one of them is what takes most of the time."""
    if "_" in line and _LONG_AFTER_UNDERSCORE.search(line):
        yield _UNDERSCORED
    if "-" in line and _LONG_AFTER_HYPHEN.search(line):
        yield _HYPHENED
    yield _OTHERS


# --- private keys -------------------------------------------------------------------------------------------------

_ARMOUR = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
# A key that was cut off: base64, armour headers, white space and the escapes that JSON and reprs write for it.
_CUT_OFF = re.compile(r"(?:[A-Za-z0-9+/=\s]|\\[nrt])*+")


def find_private_keys(text: str) -> Iterator[Span]:
    """Yield the spans of private keys in PEM or PGP armour, also of ones whose end is missing."""
    lines = list(_ARMOUR.finditer(text)) if "PRIVATE KEY" in text else []
    for line, following in itertools.zip_longest(lines, lines[1:]):
        if line[1] == "BEGIN":
            if following is not None and following[1] == "END":
                yield line.start(), following.end()
            elif body := _CUT_OFF.match(text, line.end()):
                yield line.start(), body.end()


# --- e-mail addresses ---------------------------------------------------------------------------------------------

_EMAIL = re.compile(
    rf"(?:(?<![\w.%+-])(?!(?<=\\)[nrt])|{_ESCAPED})[\w.+-]{{1,64}}+(?<!\.)(?:@|%40)"
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9-]+|[^\W\d_]{2,24})(?![\w(@])"
)
#: Not people: how git and Celery write where something is.
_SERVICES = ("git@", "hg@", "celery@")


def find_emails(text: str) -> Iterator[Span]:
    """Yield the spans of e-mail addresses."""
    if "@" in text or "%40" in text:
        for found in _EMAIL.finditer(text):
            if not found[0].startswith(_SERVICES):
                yield found.span()


# --- payment cards and bank accounts ------------------------------------------------------------------------------

# The first character comes before the look-behind: so the engine skips what cannot start a match.
_CARD = re.compile(
    r"[2-6](?:(?<![\w.,-].)|(?<=\\[nrt].))\d{3}(?:([ -]?)\d{6}\1\d{4,5}|([ -]?)\d{4}\2\d{4}\2\d{4}\d{0,3})(?![.,-]?\w)"
)
# Lengths per first digits: American Express, Diners, Mastercard, Visa, Discover, JCB, UnionPay.
_BRANDS = re.compile(
    r"3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|4\d{15}(?:\d{3})?|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_IBAN = re.compile(
    r"[A-Z](?:(?<!\w.)|(?<=\\[nrt].))[A-Z]\d\d(?:(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?|[A-Z0-9]{11,30})(?!\w)"
)


def is_card(digits: str) -> bool:
    """Say whether `digits` are the number of a payment card: a brand's first digits and length, and the Luhn sum.

    Examples
    --------
    >>> is_card("4111111111111111"), is_card("4111111111111112"), is_card("1511790849123456")
    (True, False, False)
    """
    if not digits.isascii() or len(set(digits)) < 2 or not _BRANDS.fullmatch(digits):
        return False
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def find_cards(text: str) -> Iterator[Span]:
    """Yield the spans of payment card numbers, written together or in groups."""
    for found in _CARD.finditer(text):
        if is_card(re.sub(r"\D", "", found[0])):
            yield found.span()


def find_ibans(text: str) -> Iterator[Span]:
    """Yield the spans of international bank account numbers whose check digits are right."""
    for found in _IBAN.finditer(text):
        compact = found[0].replace(" ", "")
        if 15 <= len(compact) <= 34 and int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1:
            yield found.span()
