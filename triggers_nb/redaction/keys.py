"""Which names stand for secrets or personal data: `password`, `X-Api-Key`, `dateOfBirth`, `DB_PASSWORD_2`."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterable


class Kind(enum.Enum):
    """Why what stands under a name is hidden."""

    SECRET = "secret"
    PERSONAL = "personal"
    #: Named by the user: whatever stands there is hidden.
    EXTRA = "extra"


def split_names(text: str) -> frozenset[str]:
    """Return the names in `text`, which are separated by white space."""
    return frozenset(text.split())


#: Names as their words run together. They count where a name ends in them: `db_password`, `userPassword`.
_SECRET = split_names("""
    password passwd passphrase passcode passwort kennwort pwd secret secretid token tokens credential cred
    apikey apitoken accesskey accesskeyid secretkey privatekey privatekeyid encryptionkey decryptionkey signingkey
    sshkey masterkey accountkey sharedkey sharedaccesskey authkey sessionkey subscriptionkey consumerkey servicekey
    licensekey deploykey hmackey webhookkey storagekey adminkey rootkey clientkey appkey integrationkey
    authorization auth cookie csrf xsrf bearer jwt
    otp totp mfacode pincode cvv cvc cvn securitycode dbpass userpass rootpass adminpass smtppass mailpass ftppass
    redispass proxypass authpass
""")
_PERSONAL = split_names("""
    email emailaddress mail phone phonenumber telephone telephonenumber mobile mobilenumber mobilephone cellphone fax
    faxnumber address ipaddress clientip remoteip remoteaddr street streetname postcode zipcode postalcode
    ssn socialsecurity socialsecuritynumber nationalid nationalinsurancenumber taxid taxnumber taxpayerid
    passport passportnumber passportno passportid driverlicense driverlicence driverslicense driverslicence
    driverlicensenumber licensenumber licencenumber birthdate birthday birthplace dateofbirth placeofbirth dob
    firstname lastname middlename fullname surname givenname familyname maidenname cardholder cardholdername
    iban bankaccount accountnumber accountno routingnumber sortcode cardnumber cardno creditcard debitcard
    creditcardnumber ccnumber
""")
#: These count only when they are the whole name, in one word: `boarding_pass` and `session_id` are ordinary.
_WHOLE = {
    **dict.fromkeys(("pass", "pin", "sessionid", "phpsessid", "jsessionid"), Kind.SECRET),
    "tel": Kind.PERSONAL,
}
#: These count wherever they stand (`password_for_smtp`), unless the name ends in one of `_DESCRIPTIONS`.
_STRONG = split_names("password passwd passphrase secret credential apikey privatekey ssn iban passwort kennwort")
#: Names in one word end in these, too: `dbpassword`, `accesstoken`.
_RUN_ON = ("password", "passwd", "passphrase", "secret", "token", "apikey", "secretkey", "accesskey", "emailaddress")
_DESCRIPTIONS = split_names("""
    at on date time count length len size min max type kind policy expired expires expiry expiration ttl age valid
    validity verified required enabled disabled changed exists strength file filename path dir directory field name
    label column url uri link prompt error errors attempts version rotation manager provider engine backend class
    validator template arn ref status state format algorithm index position usage used limit budget bucket ring
    reset store
""")
#: What may follow without changing what a name stands for: `password_confirmation`, `emailPrimary`, `address_line_1`.
_QUALIFIERS = split_names("""
    value text plain plaintext raw string str new old current previous confirm confirmation repeat primary secondary
    backup home work private personal business billing shipping prod production staging dev test live line hash
    encrypted b64 base64
""")
#: What makes an address one of machines, and a token one of pages.
_ORDINARY_BEFORE = {
    "address": split_names(
        "local mac memory mem server bind listen host base broker node cluster peer socket bus virtual"
    ),
    "token": split_names("next page continuation cancellation stop start eos bos pad unk sep cls mask"),
    "mail": split_names("voice"),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_PLAIN_NAME = re.compile(r"[\w.-]{1,60}\Z")
_LONGEST = 100

#: Every name above has one of these in it; whether any is in a text is asked before anything that costs more.
CORES = (
    "pass", "kennwort", "pwd", "secret", "token", "cred", "key", "auth", "cookie", "csrf", "xsrf", "sessionid",
    "sessid", "bearer", "jwt", "otp", "mfacode", "mfa_code", "pincode", "pin_code", "cvv", "cvc", "cvn", "security",
    "mail", "phone", "mobile", "fax", "addr", "street", "postcode", "zip", "postal", "ssn", "social", "national",
    "tax", "licen", "birth", "dob", "first", "last", "middle", "full", "surname", "given", "family", "maiden", "iban",
    "bank", "account", "routing", "sort", "card", "ccnumber", "cc_number", "clientip", "client_ip", "remoteip",
    "remote_ip", "pin", "tel",
)  # fmt: skip


def split_words(name: str) -> list[str]:
    """Return the words of a name in lower case, digits left out: `X-Api-Key2` is `x`, `api`, `key`."""
    return [word.lower() for word in _WORD.findall(name[-_LONGEST:])]


@functools.lru_cache(maxsize=8192)
def join_words(name: str) -> str:
    """Return the words of a name run together: `X-Api-Key2` is `xapikey`."""
    return "".join(split_words(name))


class SensitiveKeys:
    """Which names are hidden, `extra` ones included.

    Parameters
    ----------
    extra : iterable of str
        Names that count as secrets, too, in any spelling (`crew_id`, `crewId`, `Crew-ID`), alone or at the end of
        a longer name. Digits in them are not compared.

    Raises
    ------
    TypeError, ValueError
        If `extra` is one text, or has a name without letters.
    """

    def __init__(self, extra: Iterable[str] = ()) -> None:
        words = [_split_extra(name) for name in _check_names(extra)]
        self._extra = frozenset("".join(parts) for parts in words)
        self.cores = tuple(dict.fromkeys([*CORES, *(max(parts, key=len) for parts in words)]))
        self.kind = functools.lru_cache(maxsize=8192)(self._find_kind)
        self.kind_of_phrase = functools.lru_cache(maxsize=8192)(self._find_kind_of_phrase)

    def is_name(self, text: str) -> bool:
        """Say whether `text` is itself a name of something that is hidden, rather than a value."""
        return _PLAIN_NAME.match(text) is not None and self.kind(text) is not None

    def _find_kind(self, name: str) -> Kind | None:
        """Return why values under `name` are hidden; None if they are not. Cached as `kind`."""
        words = split_words(name)
        if len(words) == 1 and words[0] in _WHOLE:
            return _WHOLE[words[0]]
        return self._match_end(words) or _match_strong(words)

    def _find_kind_of_phrase(self, phrase: str) -> Kind | None:
        """Return why values after a `phrase` are hidden, by its last words. Cached as `kind_of_phrase`."""
        return self._match_end(split_words(phrase))

    def _match_end(self, words: list[str]) -> Kind | None:
        while words[1:] and words[-1] in _QUALIFIERS:
            words = words[:-1]
        for count in range(min(len(words), 3), 0, -1):
            joined = "".join(words[-count:])
            for name in (joined, joined.removesuffix("s"), joined.removesuffix("es")):
                if name in self._extra:
                    return Kind.EXTRA
                if name in _SECRET or name in _PERSONAL:
                    before = words[-count - 1] if len(words) > count else ""
                    if before in _ORDINARY_BEFORE.get(name, ()):
                        return None
                    return Kind.PERSONAL if name in _PERSONAL else Kind.SECRET
        return Kind.SECRET if words and words[-1].removesuffix("s").endswith(_RUN_ON) else None


def _check_names(names: Iterable[str]) -> Iterable[str]:
    if isinstance(names, str):
        raise TypeError(f"found the text {names!r} as extra keys, expected several names; write [{names!r}]")
    return names


def _split_extra(name: str) -> list[str]:
    if not (words := split_words(name)):
        raise ValueError(f"found the extra key {name!r}, expected a name with letters in it: digits are not compared")
    return words


def _match_strong(words: list[str]) -> Kind | None:
    if not words or words[-1] in _DESCRIPTIONS:
        return None
    if any(word.removesuffix("s") in _STRONG for word in words):
        return Kind.SECRET
    return Kind.SECRET if {"api", "key"} <= set(words) or {"private", "key"} <= set(words) else None
