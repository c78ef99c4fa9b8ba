"""Metadata as people write it, taken apart into what an instance's record holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from triggers_nb.core.codec import decode_value, encode_mapping, encode_value
from triggers_nb.core.instances import METADATA_FIELDS, is_cooldown, read_metadata
from triggers_nb.core.records import InstanceRecord, Raw
from triggers_nb.core.transitions import OwnFields
from triggers_nb.errors import InvalidValue


def parse_metadata(metadata: object, path: str = "metadata") -> OwnFields:
    """Read metadata that is to be merged into an instance's.

    Raises
    ------
    InvalidValue
        If it is no mapping, or something in it cannot be stored.
    """
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, Mapping):
        raise InvalidValue(path, metadata, "expected a mapping with string keys")
    fields: dict[str, object] = {}
    rest: dict[str, Raw] = {}
    for key, value in metadata.items():
        if not isinstance(key, str):
            raise InvalidValue(f"{path}[{key!r}]", key, "expected a string as key")
        if key in METADATA_FIELDS:
            name, kind = METADATA_FIELDS[key]
            if type(value) is not kind:
                raise InvalidValue(f"{path}[{key!r}]", value, f"expected {kind.__name__}")
            if kind is int and isinstance(value, int) and not 0 <= value < 2**31:
                raise InvalidValue(f"{path}[{key!r}]", value, "expected a number from 0 to 2147483647")
            encode_value(value, f"{path}[{key!r}]")
            fields[name] = value
        else:
            rest[key] = _encode_own(key, value, f"{path}[{key!r}]")
    return OwnFields(fields=fields, metadata=rest)


def _encode_own(key: str, value: object, path: str) -> Raw:
    """Encode what has no field in the record; the engine and the frames reckon with moments and cooldowns."""
    if key == "timestamps":
        encoded = encode_mapping(value, path)
        for name, moment in cast("Mapping[str, object]", value).items():
            if not isinstance(moment, datetime):
                raise InvalidValue(f"{path}[{name!r}]", moment, "expected a datetime")
        return Raw(encoded)
    if key == "cooldown" and value is not None and not is_cooldown(value):
        raise InvalidValue(path, value, "expected a number of seconds, 0 <= cooldown < 1e9")
    return Raw(encode_value(value, path))


def _own_moments(stored: InstanceRecord | None) -> set[str]:
    """Names of moments that an earlier draft set; the engine goes on with ``lastModified``."""
    if stored is None or "timestamps" not in stored.metadata:
        return set()
    return set(decode_value(stored.metadata["timestamps"])) - {"lastModified"}


def parse_draft(metadata: Mapping[str, Any], stored: InstanceRecord | None) -> OwnFields:
    """Read all metadata of a draft; what its record says anyway is left out."""
    own = dict(metadata)
    before = read_metadata(stored) if stored is not None else {}
    stamps = own.pop("timestamps", {})
    if not isinstance(stamps, Mapping):
        raise InvalidValue("metadata['timestamps']", stamps, "expected a mapping of moments")
    kept, own_before = before.get("timestamps", {}), _own_moments(stored)
    changed = {key: value for key, value in stamps.items() if kept.get(key) != value or key in own_before}
    if changed:
        own["timestamps"] = changed
    parsed = parse_metadata(own)
    defaults: dict[str, object] = {
        "parent": None, "depth": 0, "log_level": 0, "logs_resolved": False,
        "exception_type": None, "exception_message": None,
    }  # fmt: skip
    return OwnFields(fields={**defaults, **parsed.fields}, metadata=parsed.metadata)
