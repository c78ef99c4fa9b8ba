"""What is wrong with a configuration before anything fires."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from triggers_nb.analysis.lint import Finding, lint
from triggers_nb.analysis.lint_spelling import near_misses
from triggers_nb.core.instances import TaskConfig
from triggers_nb.errors import ConfigurationError


def task(*after: str, **directives: Any) -> dict[str, Any]:
    return {"after": list(after), "run": "app.Task", **directives}


def found(findings: Iterable[Finding]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(finding.severity, finding.code, finding.task, finding.names) for finding in findings]


FLIGHTS = {
    "t_importFlight": task("scheduled"),
    "t_identifyPlane": task("t_importFlight"),
    "t_attachWeather": task("weatherReceived", "t_importFlight"),
    "t_computeDelay": task("t_importFlight", "departed", "landed", unless=["cancelled"]),
    "t_rebookPassengers": task("t_identifyPlane", "cancelled"),
    "t_closeReport": task("sessionFinalized"),
}


def test_nothing_is_found_in_a_good_configuration():
    assert lint(FLIGHTS) == []
    assert lint({}) == []


def test_it_takes_what_a_session_holds_as_well_as_what_update_configuration_takes():
    assert lint({"t_a": TaskConfig("t_a", after=["t_a"], run="A")})[0].code == "cycle"


def test_what_update_configuration_refuses_is_refused():
    with pytest.raises(ConfigurationError, match="t_a"):
        lint({"t_a": {"run": "A"}})


def test_what_is_no_configuration_is_refused_in_one_line():
    with pytest.raises(ConfigurationError, match=r"^configuration: found task after 0 t_a x, expected a mapping") as no:
        lint(pd.DataFrame({"task": ["t_a"], "after": ["x"]}))  # type: ignore[arg-type]
    assert "\n" not in str(no.value)
    for triggers in (3, "go"):
        with pytest.raises(TypeError, match=r"triggers=.*expected a list or set"):
            lint({}, triggers)  # type: ignore[arg-type]


class TestMisspeltDirectives:
    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("Unless", "unless"), ("unles", "unless"), ("and_every", "andEvery"), ("andevery", "andEvery"),
            ("with_params", "withParams"), ("whitParams", "withParams"), ("usign", "using"),
        ],
    )  # fmt: skip
    def test_are_found_with_the_one_that_is_probably_meant(self, wrong: str, right: str):
        [finding] = lint({"t_a": task("go"), "t_b": task("go", **{wrong: None})})
        assert found([finding]) == [("warning", "near-miss", "t_b", (wrong, right))]
        assert wrong in str(finding)
        assert f"did you mean {right!r}" in str(finding)

    def test_other_directives_of_the_applications_own_are_not(self):
        assert lint({"t_a": task("go", owner="ops", owners=["ops"], users=1, label="a", running=True)}) == []


class TestCycles:
    def test_a_task_that_waits_for_itself(self):
        [finding] = lint({"t_a": task("t_a", "go")})
        assert found([finding]) == [("error", "cycle", "t_a", ("t_a",))]
        assert "waits for its own name" in finding.message

    def test_several_in_a_circle_and_what_waits_for_them(self):
        configuration = {
            "t_a": task("t_c"),
            "t_b": task("t_a"),
            "t_c": task("t_b"),
            "t_d": task("t_c"),
            "t_e": task("t_d"),
        }
        assert found(lint(configuration)) == [
            ("error", "cycle", "t_a", ("t_a", "t_b", "t_c")),
            ("error", "never-runs", "t_d", ("t_c",)),
            ("error", "never-runs", "t_e", ("t_d",)),
        ]

    def test_circles_that_share_a_task_are_one_finding(self):
        configuration = {"t_a": task("t_b", "t_c"), "t_b": task("t_a"), "t_c": task("t_a")}
        [finding] = lint(configuration)
        assert set(finding.names) == {"t_a", "t_b", "t_c"}

    def test_unless_makes_no_circle(self):
        assert lint({"t_a": task("go", unless=["t_b"]), "t_b": task("t_a")}) == []

    def test_a_circle_that_the_application_starts_is_none(self):
        configuration = {"t_a": task("t_b"), "t_b": task("t_a")}
        assert lint(configuration, triggers=["t_a"]) == []


class TestTriggersThatNothingFires:
    def test_are_known_if_the_application_says_what_it_fires(self):
        configuration = {"t_a": task("go", "gone"), "t_b": task("t_a", unless=["stop"]), "t_c": task("t_b", "go")}
        assert found(lint(configuration, triggers=["go"])) == [
            ("error", "nothing-fires", "t_a", ("gone",)),
            ("error", "never-runs", "t_b", ("t_a",)),
            ("error", "never-runs", "t_c", ("t_b",)),
            ("warning", "nothing-fires", "t_b", ("stop",)),
        ]

    def test_are_suspected_if_they_are_named_like_tasks(self):
        configuration = FLIGHTS | {"t_mail": task("t_chooseHotel")}
        assert found(lint(configuration)) == [("warning", "nothing-fires", "t_mail", ("t_chooseHotel",))]

    def test_one_task_alone_sets_no_pattern(self):
        assert lint({"t_a": task("t_imported")}) == []


class TestTasksThatAreAlwaysAbandoned:
    def test_by_what_they_wait_for(self):
        assert found(lint({"t_a": task("go", unless=["go"])})) == [("error", "always-abandoned", "t_a", ("go",))]

    def test_by_what_must_have_happened_before(self):
        configuration = {
            "t_a": task("go"),
            "t_b": task("t_a"),
            "t_c": task("t_b", unless=["go", "t_a"]),
            "t_d": task("t_c"),
        }
        assert found(lint(configuration)) == [
            ("error", "always-abandoned", "t_c", ("go", "t_a")),
            ("error", "never-runs", "t_d", ("t_c",)),
        ]

    def test_not_as_long_as_one_trigger_may_be_missing(self):
        assert lint({"t_a": task("go", unless=["go", "other"])}) == []


class TestNearMisses:
    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("canceled", "cancelled"),
            ("Cancelled", "cancelled"),
            ("weather_received", "weatherReceived"),
            ("wetherReceived", "weatherReceived"),
            ("weatherRecieved", "weatherReceived"),
            ("t_importFligth", "t_importFlight"),
            ("t_importFlights", "t_importFlight"),
        ],
    )
    def test_are_found_with_the_name_that_is_probably_meant(self, wrong: str, right: str):
        configuration = FLIGHTS | {"t_mail": task("t_identifyPlane", wrong)}
        [finding] = lint(configuration)
        assert found([finding]) == [("warning", "near-miss", "t_mail", (wrong, right))] or finding.names == (
            right,
            wrong,
        )
        assert "did you mean" in finding.message

    @pytest.mark.parametrize("names", [("gate1", "gate2"), ("laneA", "laneB"), ("on", "off"), ("departed", "diverted")])
    def test_series_and_short_and_merely_similar_names_are_not(self, names: tuple[str, str]):
        assert lint({"t_a": task(*names)}) == []

    def test_what_the_application_fires_is_right(self):
        configuration = {"t_a": task("cancelled"), "t_b": task("canceled")}
        assert lint(configuration, triggers=["cancelled", "canceled"]) == []
        assert found(lint(configuration, triggers=["cancelled"])) == [
            ("error", "nothing-fires", "t_b", ("canceled",)),
            ("warning", "near-miss", "t_b", ("canceled", "cancelled")),
        ]

    def test_they_are_found_among_thousands(self):
        uses = {f"{word}{'x' * (n % 7)}{n}": 1 for n in range(5000) for word in ("step",)} | {
            "departed": 3,
            "departd": 1,
        }
        assert list(near_misses(uses, frozenset())) == [("departd", "departed")]


def test_findings_make_a_frame():
    findings = lint({"t_a": task("t_a", "go"), "t_b": task("go", unless=["go"])})
    frame = pd.DataFrame([msgspec.structs.asdict(finding) for finding in findings])
    assert list(frame.columns) == ["severity", "code", "task", "names", "message"]
    assert frame["code"].tolist() == ["cycle", "always-abandoned"]


names = some.sampled_from([*"abcdef", "ab", "abcdefgh", "abcdefghi"])
configurations = some.dictionaries(
    names,
    some.builds(task, names, names, unless=some.lists(names, max_size=2), andEvery=some.none() | names),
    max_size=8,
)


@given(configurations, some.none() | some.lists(names))
def test_what_is_called_dead_is_what_never_runs(configuration: dict[str, Any], triggers: list[str] | None):
    """Firing all that may be fired, and finishing all that is scheduled, runs exactly the other tasks."""
    findings = [finding for finding in lint(configuration, triggers) if finding.severity == "error"]
    everything = {*"abcdef", "ab", "abcdefgh", "abcdefghi"}
    fired = everything - configuration.keys() if triggers is None else set(triggers)
    alive: set[str] = set()
    while ready := {
        name
        for name, directives in configuration.items()
        if name not in alive and {*directives["after"], *filter(None, [directives["andEvery"]])} <= fired
    }:
        alive |= ready
        fired |= ready

    dead = {finding.task for finding in findings} | {n for f in findings if f.code == "cycle" for n in f.names}
    if not any(finding.code == "always-abandoned" for finding in findings):
        assert dead == configuration.keys() - alive
    assert configuration.keys() - alive <= dead


@pytest.mark.parametrize(
    ("typed", "meant"), [("aftr", "after"), ("unles", "unless"), ("and_every", "andEvery"), ("rn", "run")]
)
def test_a_short_directive_that_is_misspelt_is_found(typed: str, meant: str) -> None:
    findings = lint({"t_a": {"after": ["go"], "run": "X", typed: ["t_b"]}})
    assert [(each.code, each.names) for each in findings] == [("near-miss", (typed, meant))]


def test_a_directive_of_ones_own_is_left_alone() -> None:
    assert lint({"t_a": {"after": ["go"], "run": "X", "owner": "ops", "user": "me", "runner": "x", "before": 1}}) == []
