"""The waves of a plan as people and programs read them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetdeploy.domain.forecast import (
    DomainForecast,
    Expected,
    Forecast,
    PlayForecast,
    RunRefusal,
    ServiceForecast,
    WaveForecast,
)
from fleetdeploy.domain.plan import Plan
from fleetdeploy.report.host_names import COLUMNS, shortened
from fleetdeploy.report.plan import as_json, text, waves_text
from fleetdeploy.report.plan.waves_text import in_words


def forecast(*plays: PlayForecast, refusals: tuple[RunRefusal, ...] = ()) -> Forecast:
    return Forecast(Plan({}), plays=plays, refusals=refusals)


def printed(*plays: PlayForecast, refusals: tuple[RunRefusal, ...] = ()) -> list[str]:
    return [line.plain for line in waves_text.lines(forecast(*plays, refusals=refusals))]


def wave(number: int, *hosts: str, before: int = 3, lowest: int = 2, seconds: float | None = 60.0) -> WaveForecast:
    service = ServiceForecast(before, lowest, hosts if lowest < before else (), before - lowest)
    return WaveForecast(number, hosts, service, None if seconds is None else Expected(seconds))


SWITCH = PlayForecast(
    "Switch over, wave by wave", 3, 1, (wave(1, "gpu1"), wave(2, "gpu2", "gpu3")), bound=True, soak_s=5.0
)


def test_waves_with_what_stays_in_service() -> None:
    """A line a wave: its hosts, how many serve at the lowest, how many go at a time if not all; the soak counts."""
    assert printed(SWITCH) == [
        'play "Switch over, wave by wave": 2 waves, about 2 min',
        "  may be out at once: 1 of 3 hosts",
        "  wave 1: gpu1        2 of 3 stay in service",
        "  wave 2: gpu2, gpu3  2 of 3 stay in service, 1 at a time",
    ]


def test_a_wave_that_takes_none_out_says_so() -> None:
    """New hosts and hosts that are out already cost nothing."""
    play = replace(SWITCH, waves=(wave(1, "gpu1", before=2, lowest=2, seconds=None),))
    assert printed(play)[-1] == "  wave 1: gpu1  takes none out, 2 of 3 in service"
    assert printed(play)[0] == 'play "Switch over, wave by wave": 1 wave'


def test_a_play_without_traffic_is_one_line() -> None:
    """Copying files is bound by no capacity; what only a new look can tell is not promised."""
    files = PlayForecast("Files", 3, 1, (WaveForecast(1, ("gpu1", "gpu2"), expected=Expected(42.0, at_least=True)),))
    assert printed(files) == ['play "Files": 2 hosts, takes none out of service, at least 42 s']
    two = replace(files, waves=(*files.waves, WaveForecast(2, ("gpu3",))))
    assert printed(two) == ['play "Files": 3 hosts in 2 waves, takes none out of service, at least 42 s']
    tidy = replace(files, foreseen=False)
    assert printed(tidy) == ['play "Files": 2 hosts, may have work; found out when it is their turn']


def test_failure_domains_are_named() -> None:
    """The limits stand above the waves, and each wave names the domain that comes closest."""
    service = ServiceForecast(4, 2, ("a", "b"), 2, DomainForecast("r1", 1, 2, 1))
    play = PlayForecast(
        "p", 4, 4, (WaveForecast(1, ("a", "b"), service),), bound=True, spread="rack", min_available="50%"
    )
    assert printed(play)[1:] == [
        "  may be out at once: 4 of 4 hosts; min_available: 50% of each rack",
        "  wave 1: a, b  2 of 4 stay in service, 1 of 2 in r1",
    ]


def test_what_nobody_knows_is_said() -> None:
    """Where a balancer could not be asked the waves stand alone."""
    play = replace(SWITCH, waves=tuple(replace(item, service=None) for item in SWITCH.waves))
    assert printed(play)[1:] == [
        "  may be out at once: 1 of 3 hosts; what serves now is not known",
        "  wave 1: gpu1",
        "  wave 2: gpu2, gpu3",
    ]


@pytest.mark.parametrize("prefix", ["gpu", "host-with-a-rather-long-name.rack17.example.com"])
def test_a_large_fleet_stays_readable(prefix: str) -> None:
    """Long lists are cut, many waves are told together with the worst of them, and names align in 80 columns."""
    names = [f"{prefix}{number:04}" for number in range(2000)]
    waves = [wave(1, *names[:50], before=2000, lowest=1950)]
    waves += [wave(2 + at, name, before=2000, lowest=1999 - at % 7) for at, name in enumerate(names[50:])]
    rows = printed(PlayForecast("p", 2000, 50, tuple(waves), bound=True))
    assert len(rows) == 2 + waves_text.WAVES
    assert "and 19" in rows[-1]
    assert rows[-1].startswith("  waves 10 to 1951: ")
    assert rows[-1].endswith("  1993 of 2000 stay in service")
    if prefix == "gpu":
        assert max(map(len, rows)) <= COLUMNS
        assert rows[2] == "  wave 1: gpu0000, gpu0001, gpu0002 and 47 more     1950 of 2000 stay in service"


def test_long_lists_are_shortened() -> None:
    """As many names as fit, one at the least, and never "and 0 more"."""
    names = [f"gpu{number:02}" for number in range(1, 51)]
    assert shortened(names, 34) == "gpu01, gpu02, gpu03 and 47 more"
    assert shortened(names[:3], 19) == "gpu01, gpu02, gpu03"
    assert shortened(names[:3], 18) == "gpu01 and 2 more"
    assert shortened(names, 1) == "gpu01 and 49 more"
    assert shortened(names[:1], 1) == "gpu01"
    assert shortened([], 1) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 s"), (1.4, "about 1 s"), (59.6, "about 60 s"), (99, "about 99 s"), (100, "about 2 min"),
     (5340, "about 89 min"), (5400, "about 1 h 30 min"), (7200, "about 2 h"), (86400, "about 24 h"),
     (604800, "about 7 days"), (200000, "about 2 days")],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    """Rough on purpose: nobody knows better."""
    assert in_words(Expected(seconds)) == words
    assert in_words(Expected(3.0, at_least=True)) == "at least 3 s"
    assert in_words(Expected(0.2, at_least=True)) == ""
    assert in_words(None) == ""


def test_the_last_line_has_the_whole_time() -> None:
    """All plays one after the other; a run that would be refused has none, but says so."""
    assert text.last_line(forecast(SWITCH, SWITCH)) == "PLAN: 0 of 0 hosts would change, about 4 min"
    unforeseen = PlayForecast("Tidy up", 3, 1, (WaveForecast(1, ("gpu1",)),), foreseen=False)
    assert text.last_line(forecast(SWITCH, unforeseen)) == "PLAN: 0 of 0 hosts would change, about 2 min"
    unknown = replace(SWITCH, waves=(wave(1, "gpu1", seconds=None),))
    assert text.last_line(forecast(SWITCH, unknown)) == "PLAN: 0 of 0 hosts would change, at least 2 min"
    assert text.last_line(forecast(unknown)) == "PLAN: 0 of 0 hosts would change"
    refused = (RunRefusal("no room", "p.yml:1:3", "make some"),)
    assert text.last_line(forecast(SWITCH, refusals=refused)).endswith(", the run would be refused")
    assert printed(refusals=refused) == ["p.yml:1:3: REFUSED: no room", "    make some"]
    assert next(line.plain for line in text.lines(forecast(refusals=refused))) == "p.yml:1:3: REFUSED: no room"


def test_waves_as_json() -> None:
    """Seconds are numbers or null, and whatever the text says is there."""
    unknown = replace(SWITCH, waves=(replace(wave(1, "gpu1", seconds=None), service=None),))
    found = as_json.plan(forecast(SWITCH, unknown, refusals=(RunRefusal("no room", "p.yml:1:3", "make some"),)))
    plays = found["plays"]
    assert isinstance(plays, list)
    assert (found["seconds"], found["seconds_at_least"]) == (125.0, True)
    assert found["refusals"] == [{"where": "p.yml:1:3", "message": "no room", "hint": "make some", "hosts": []}]
    assert plays[0]["waves"][0] == {
        "number": 1,
        "hosts": ["gpu1"],
        "in_service": {"before": 3, "lowest": 2, "taken_out": ["gpu1"], "side_by_side": 1, "domain": None},
        "seconds": 60.0,
        "seconds_at_least": False,
    }
    assert (plays[0]["seconds"], plays[1]["seconds"]) == (125.0, None)
    assert plays[1]["waves"][0]["in_service"] is None


@pytest.mark.parametrize(
    ("plan", "run", "code"), [(0, (), 0), (0, (5,), 5), (0, (5, 2), 2), (7, (5,), 7), (2, (5,), 2), (5, (), 5)]
)
def test_one_exit_code_for_all_refusals(plan: int, run: tuple[int, ...], code: int) -> None:
    """An artefact's first, then input's, then preflight's, whether a host or the run would be refused."""

    class Refused(Plan):
        @property
        def refusal_exit_code(self) -> int:
            return plan

    found = Forecast(Refused({}), refusals=tuple(RunRefusal("no", exit_code=item) for item in run))
    assert found.refusal_exit_code == code


def test_a_refused_play_promises_nothing() -> None:
    """Its reason stands at it, and neither seconds nor what would stay in service; other reasons stand above all."""
    no_room = RunRefusal("no room", "p.yml:1:3", "make some", hosts=("gpu1", "gpu3"))
    waves = tuple(replace(item, service=None) for item in SWITCH.waves)
    play = replace(SWITCH, waves=waves, refusals=(no_room,))
    rows = printed(play, refusals=(RunRefusal("no balancer"), no_room))
    assert rows == [
        "REFUSED: no balancer",
        'play "Switch over, wave by wave": refused',
        "  p.yml:1:3: REFUSED: no room",
        "      make some",
        "  wave 1: gpu1",
        "  wave 2: gpu2, gpu3",
    ]
    every = [line.plain for line in waves_text.lines(forecast(play, refusals=(no_room,)), every_name=True)]
    assert "      all of them: gpu1, gpu3" in every
    assert as_json.plan(forecast(play, refusals=(no_room,)))["refusals"] == [
        {"where": "p.yml:1:3", "message": "no room", "hint": "make some", "hosts": ["gpu1", "gpu3"]}
    ]


def test_every_name_of_a_wave_can_be_seen() -> None:
    """With ``every_name`` there is a row a wave, and below it the names that do not fit, in 80 columns."""
    names = [f"gpu{number:03}" for number in range(60)]
    waves = [wave(1 + at, *names[at * 30 : at * 30 + 30], before=60, lowest=30) for at in range(2)]
    waves += [wave(3 + at, name, before=60, lowest=59) for at, name in enumerate(names[:20])]
    play = PlayForecast("p", 60, 30, tuple(waves), bound=True)
    rows = [line.plain for line in waves_text.lines(forecast(play), every_name=True)]
    assert max(map(len, rows)) <= COLUMNS
    assert rows[2] == "  wave 1: 30 hosts  30 of 60 stay in service"
    below = rows[3 : rows.index("  wave 2: 30 hosts  30 of 60 stay in service")]
    assert " ".join(below).replace(",", "").split() == names[:30]
    assert rows[-1].startswith("  wave 22: gpu019")
