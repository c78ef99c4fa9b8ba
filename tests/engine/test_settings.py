"""Settings that come from the environment."""

import pytest

from triggers_nb import settings


def test_what_holds_if_nothing_is_said():
    assert (settings.grace_s(), settings.lease_s(), settings.heartbeat_s(), settings.runner_name()) == (
        30,
        60,
        20,
        None,
    )


def test_the_heartbeat_follows_the_lease(monkeypatch):
    monkeypatch.setenv("TRIGGERS_LEASE_S", "6")
    assert settings.heartbeat_s() == 2

    monkeypatch.setenv("TRIGGERS_HEARTBEAT_S", "5.5")
    assert settings.heartbeat_s() == 5.5


@pytest.mark.parametrize("found", ["0", "-1", "soon", "nan", "inf", "1e12", "1s"])
@pytest.mark.parametrize("variable", ["TRIGGERS_GRACE_S", "TRIGGERS_LEASE_S", "TRIGGERS_HEARTBEAT_S"])
def test_a_period_that_makes_no_sense_is_refused(monkeypatch, variable, found):
    monkeypatch.setenv(variable, found)
    period = {"G": settings.grace_s, "L": settings.lease_s, "H": settings.heartbeat_s}[variable[9]]

    with pytest.raises(settings.SettingError, match=f"{variable}='{found}': expected a positive number of seconds"):
        period()


def test_a_heartbeat_that_comes_too_late_is_refused(monkeypatch):
    monkeypatch.setenv("TRIGGERS_LEASE_S", "6")
    monkeypatch.setenv("TRIGGERS_HEARTBEAT_S", "6")

    with pytest.raises(settings.SettingError, match="expected less than the lease, TRIGGERS_LEASE_S=6"):
        settings.heartbeat_s()


@pytest.mark.parametrize("variable", ["TRIGGERS_LEASE_S", "TRIGGERS_HEARTBEAT_S"])
def test_work_that_could_not_run_here_is_not_scheduled(monkeypatch, variable, manager):
    manager.update_configuration({"t_a": {"after": ["go"], "run": "app.Task"}})
    monkeypatch.setenv(variable, "soon")

    with pytest.raises(settings.SettingError, match=f"{variable}='soon'"):
        manager.fire("go")
    assert (list(manager.storage.instances), manager.storage.latest_kwargs) == ([], {})
