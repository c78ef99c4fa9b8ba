"""The application's own metadata of a session."""

from datetime import date

import pytest

from triggers_nb import CacheStorageBackend, TriggerManager
from triggers_nb.errors import InvalidValue


@pytest.fixture
def storage() -> CacheStorageBackend:
    storage = CacheStorageBackend("s", "memory://session-metadata")
    storage.cache.clear()
    TriggerManager(storage).fire("go", {"n": 1})
    return storage


def test_metadata_that_is_changed_under_the_lock_is_saved(storage: CacheStorageBackend) -> None:
    # When
    with storage.acquire_lock() as draft:
        draft.metadata["opened"] = {"on": date(2013, 2, 8)}
        draft.save()
    # Then
    assert storage.metadata == {"opened": {"on": date(2013, 2, 8)}, "latest_kwargs": {"go": {"n": 1}}}
    # And when it is only read, nothing is committed
    before = storage.store.state("s")
    with storage.acquire_lock() as draft:
        assert draft.metadata["opened"]
        draft.save()
    assert storage.store.state("s") == before


def test_metadata_that_cannot_be_stored_is_refused_whole(storage: CacheStorageBackend) -> None:
    with storage.acquire_lock() as draft:
        draft.metadata["bad"] = object()
        with pytest.raises(InvalidValue, match="metadata\\['bad'\\]"):
            draft.save()
    assert "bad" not in storage.metadata
