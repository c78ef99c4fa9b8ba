"""What a corpus of made-up secrets and of ordinary texts becomes; the figures are printed."""

import base64
import random
import re
import string
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from triggers_nb.redaction import Redactor

CORPUS = Path(__file__).parent / "redaction_corpus"
MARKER = re.compile(r"\[redacted:[0-9a-f]{12}\]")
SECRETS_PER_KIND = 3

SETS = {
    "AZ09": string.ascii_uppercase + string.digits,
    "az09": string.ascii_lowercase + string.digits,
    "alnum": string.ascii_letters + string.digits,
    "letters": string.ascii_lowercase,
    "hex": "0123456789abcdef",
    "digits": string.digits,
    "word": string.ascii_letters + string.digits + "-_",
    "base64": string.ascii_letters + string.digits + "+/",
}


class Case(NamedTuple):
    kind: str
    context: str
    secret: str
    #: What stands before and after the secret, and has to stay.
    before: str
    after: str

    @property
    def text(self) -> str:
        return self.before + self.secret + self.after


# --- secrets that are not secret ----------------------------------------------------------------------------------


def card(rng: random.Random, first: str, length: int, groups: tuple[int, ...] = ()) -> str:
    digits = first + "".join(rng.choices(string.digits, k=length - len(first) - 1))
    total = sum(sum(divmod(2 * int(d), 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(digits)))
    digits += str(-total % 10)
    return " ".join(digits[sum(groups[:i]) : sum(groups[: i + 1])] for i in range(len(groups))) or digits


def iban(rng: random.Random, country: str, length: int) -> str:
    account = "".join(rng.choices(string.digits, k=length))
    check = 98 - int("".join(str(int(c, 36)) for c in account + country + "00")) % 97
    return f"{country}{check:02}{account}"


def pem(rng: random.Random, kind: str) -> str:
    lines = "\n".join("".join(rng.choices(SETS["base64"], k=64)) for _ in range(4))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def jwt(rng: random.Random) -> str:
    parts = [b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"%d"}' % rng.randrange(10**9), rng.randbytes(32)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


MADE: dict[str, Callable[[random.Random], str]] = {
    "jwt": jwt,
    "pem": lambda rng: pem(rng, ""),
    "pem_ec": lambda rng: pem(rng, "EC "),
    "basic": lambda rng: base64.b64encode(b"ada:" + rng.randbytes(9).hex().encode()).decode(),
    "visa": lambda rng: card(rng, "4", 16),
    "mastercard": lambda rng: card(rng, "53", 16, (4, 4, 4, 4)),
    "amex": lambda rng: card(rng, "37", 15),
    "iban_de": lambda rng: iban(rng, "DE", 18),
    "iban_fr": lambda rng: " ".join(re.findall(".{1,4}", iban(rng, "FR", 23))),
}


def make(template: str, rng: random.Random) -> str:
    def fill(found: re.Match[str]) -> str:
        name, _, count = found[1].partition(":")
        if not count:
            return MADE[name](rng)
        return "".join(rng.choices(SETS[name], k=int(count)))

    return re.sub(r"\{([A-Za-z0-9_]+(?::\d+)?)\}", fill, template)


def place(kind: str, context: str, template: str, secret: str) -> Case:
    before, _, after = template.partition("{}")
    return Case(kind, context, secret, before, after)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(make_cases())


def make_cases() -> Iterator[Case]:
    corpus = tomllib.loads((CORPUS / "secrets.toml").read_text("utf-8"))
    rng = random.Random(20130101)
    for kind, template in corpus["form"].items():
        for _ in range(SECRETS_PER_KIND):
            secret = make(template, rng)
            for context, around in corpus["contexts"].items():
                yield place(kind, context, around, secret)
    for kind, (name, template) in corpus["named"].items():
        for _ in range(SECRETS_PER_KIND):
            secret = make(template, rng)
            for context, around in corpus["named_contexts"].items():
                yield place(kind, context, around.replace("{name}", name), secret)
    for kind, template in corpus["placed"].items():
        for _ in range(SECRETS_PER_KIND):
            before, secret, after = re.split("[«»]", template)
            yield Case(kind, "as it stands", make(secret, rng), before, after)


def ordinary_texts() -> list[str]:
    lines = (CORPUS / "ordinary_lines.txt").read_text("utf-8").splitlines()
    blocks = (CORPUS / "ordinary_blocks.txt").read_text("utf-8").rstrip("\n").split("\n%%\n")
    return [line for line in lines if not line.startswith("# ")] + blocks


# --- tests --------------------------------------------------------------------------------------------------------


def test_all_secrets_are_caught_and_what_is_around_them_stays(cases: list[Case]) -> None:
    redact = Redactor()
    leaks = []
    for case in cases:
        redacted = redact.text(case.text)
        inner = redacted.removeprefix(case.before).removesuffix(case.after)
        if case.before + inner + case.after != redacted or not MARKER.fullmatch(inner):
            leaks.append(f"{case.kind}, {case.context}: {case.text!r} became {redacted!r}")
    kinds, secrets = {case.kind for case in cases}, {case.secret for case in cases}
    print(f"{len(secrets)} secrets of {len(kinds)} kinds in {len(cases)} places: {len(cases) - len(leaks)} caught")
    assert leaks == []
    assert len(kinds) >= 15
    assert len(secrets) >= 100


def test_at_most_one_in_a_hundred_ordinary_texts_is_touched() -> None:
    redact = Redactor()
    texts = ordinary_texts()
    touched = [text for text in texts if redact.text(text) != text]
    print(f"{len(texts)} ordinary texts: {len(touched)} touched ({len(touched) / len(texts):.1%})")
    assert len(texts) == len(set(texts)) >= 300
    assert len(touched) <= len(texts) / 100, touched


def test_the_corpus_holds_no_secret_of_its_own() -> None:
    """Given the templates, when they are redacted as a whole, then nothing in them is like a vendor's token."""
    from triggers_nb.redaction.tokens import find_tokens

    template = (CORPUS / "secrets.toml").read_text("utf-8")
    assert [template[start:end] for start, end in find_tokens(template)] == []


def test_equal_secrets_become_equal_markers_wherever_they_stand(cases: list[Case]) -> None:
    redact = Redactor()
    markers: dict[str, set[str]] = {}
    for case in cases:
        markers.setdefault(case.secret, set()).update(MARKER.findall(redact.text(case.text)))
    assert {secret for secret, found in markers.items() if len(found) != 1} == set()
    assert len({marker for found in markers.values() for marker in found}) == len(markers)


def test_redacting_the_corpus_twice_is_redacting_it_once(cases: list[Case]) -> None:
    redact = Redactor()
    once = [redact.text(text) for text in [*(case.text for case in cases), *ordinary_texts()]]
    assert [redact.text(text) for text in once] == once


def test_the_corpus_in_values_is_caught_too(cases: list[Case]) -> None:
    redact = Redactor()
    value = {"notes": [case.text for case in cases], "n": len(cases)}
    redacted = redact.value(value)
    assert redacted["n"] == len(cases)
    assert [text for text, case in zip(redacted["notes"], cases, strict=True) if case.secret in text] == []
