"""For those who write techniques or tests: tiny worlds without files, random worlds, and ``check_technique``.

``check_technique(FrugalSplit())`` is the contract of a technique as a program, after the environment checkers of
Gymnasium and scikit-learn: it plays the technique in random worlds and raises ``AssertionError`` with a sentence
where it breaks a promise. Random worlds come from one description (:func:`random_world`) and two sources of chance:
a seeded generator (nothing but NumPy needed), or Hypothesis (:func:`worlds`; install ``offing[test]``), which also
makes failing examples small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

import numpy as np
import yaml

from simulator.profiles.hardware import Fact, Hardware
from simulator.profiles.library import Library
from simulator.profiles.model import Layer, LayerTimes, ModelProfile
from simulator.results.frames import Results
from simulator.results.record import Columns
from simulator.run.simulation import Simulation
from simulator.scenario.scenario import Scenario
from simulator.techniques.technique import Technique
from simulator.world.view import View

T = TypeVar("T")

WORLDS = 25
"""Random worlds that ``check_technique`` plays."""


# -- tiny worlds, by hand ------------------------------------------------------------------------------------------


def machine(name: str, *, memory: float = 1e12, **facts: float) -> Hardware:
    """Return hardware that costs nothing but what *facts* say (``idle``, ``busy``, ``cold``, ``message`` ... in SI)."""
    names = ("idle", "busy", "transmit", "receive", "cold", "rest", "message", "byte")
    unknown = set(facts) - {*names, "wake"}
    if unknown:
        raise TypeError(f"a machine has no {', '.join(sorted(unknown))}; it has memory, {', '.join(names)}, wake")
    made = {key: Fact(facts.get(key, 0.0), "guessed", "made for a test") for key in {*names, *facts}}
    return Hardware(name, name, Fact(memory, "guessed", "made for a test"), rates=None, source="", **made)


def chain(
    sizes: Sequence[float],
    times: Mapping[str, Sequence[float]],
    *,
    repeats: Mapping[str, Sequence[Sequence[float]]] | None = None,
    parameters: Sequence[float] = (),
    name: str = "tiny",
) -> ModelProfile:
    """Return a model whose layers stand in a row.

    Args:
        sizes: bytes of the input and of each layer's output, shape (layers + 1,).
        times: seconds per layer by hardware name, each of shape (layers,).
        repeats: measured runs by hardware name, each of shape (repeats, layers).
        parameters: parameter bytes per layer (default: none).
        name: name of the model.
    """
    layers = tuple(
        Layer(
            f"layer{i}", "Test", "conv", (f"layer{i - 1}" if i else "input",), 0.0, sizes[i], sizes[i + 1],
            parameters[i] if parameters else 0.0,
        )
        for i in range(len(sizes) - 1)
    )  # fmt: skip
    runs = repeats or {}
    measured = {
        where: LayerTimes(where, tuple(seconds), tuple(map(tuple, runs.get(where, ()))))
        for where, seconds in times.items()
    }
    return ModelProfile(name, "input", sizes[0], layers, measured=measured)


def tiny(changes: Mapping[str, Any] | None = None) -> Scenario:
    """Return a small scenario, with values changed by dotted path: ``tiny({"until": "5 s"})``.

    One device ``pi``, one server ``edge``, a link ``uplink`` of 1 MB/s and 10 ms without framing or software cost, and
    three layers of 0.1, 0.2 and 0.3 s on the device, a tenth of it on the server; 100, 50, 20 and 1 kB between them.
    """
    times = {"board": (0.1, 0.2, 0.3), "rack": (0.01, 0.02, 0.03)}
    library = Library(models=[chain((1e5, 5e4, 2e4, 1e3), times)], machines=[machine("board"), machine("rack")])
    data = {
        "name": "tiny",
        "until": "10 s",
        "model": "tiny",
        "nodes": {"pi": {"kind": "device", "hardware": "board"}, "edge": {"kind": "server", "hardware": "rack"}},
        "links": {"uplink": {"between": ["pi", "edge"], "bandwidth": "1 MB/s", "delay": "10 ms", "connection": "none"}},
        "workload": {"kind": "inference", "sources": ["pi"], "arrivals": {"kind": "poisson", "rate": "1 /s"}},
        "technique": {"kind": "min-latency"},
    }
    scenario = Scenario.from_dict(data, library)
    return scenario.with_(changes) if changes else scenario


# -- random worlds -------------------------------------------------------------------------------------------------


class Chance(Protocol):
    """A source of choices."""

    def whole(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""

    def number(self, low: float, high: float) -> float:
        """Return a number between the two, each order of magnitude as likely."""

    def pick(self, options: Sequence[T]) -> T:
        """Return one of *options*."""


class Seeded:
    """Choices from a NumPy generator."""

    def __init__(self, seed: int) -> None:
        """Take the seed."""
        self._rng = np.random.default_rng(seed)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return int(self._rng.integers(low, high + 1))

    def number(self, low: float, high: float) -> float:
        """Return a number between the two, each order of magnitude as likely."""
        return float(np.exp(self._rng.uniform(math.log(low), math.log(high))))

    def pick(self, options: Sequence[T]) -> T:
        """Return one of *options*."""
        return options[self.whole(0, len(options) - 1)]


def random_profile(chance: Chance, hardware: Sequence[str] = ("board", "rack", "hall")) -> ModelProfile:
    """Return a model of 2 to 7 layers, with skip connections, places that cannot be cut, and repeats."""
    count = chance.whole(2, 7)
    sizes = [chance.number(1e2, 3e5) for _ in range(count + 1)]
    layers = []
    for i in range(count):
        parents = [f"layer{i - 1}" if i else "input"]
        if i >= 2 and chance.whole(0, 2) == 0:
            parents.append(f"layer{chance.whole(0, i - 2)}")
        cuttable = i in (0, count - 1) or chance.whole(0, 4) > 0
        layers.append(
            Layer(f"layer{i}", "Test", "conv", tuple(parents), 0.0, sizes[i], sizes[i + 1], chance.number(1e2, 1e6),
                  cut_ok=cuttable)
        )  # fmt: skip
    measured = {}
    for place, name in enumerate(hardware):
        seconds = [chance.number(1e-3, 0.1) / 5**place for _ in range(count)]
        pace = [chance.number(0.8, 1.5) for _ in range(3)]
        runs = tuple(tuple(second * factor for second in seconds) for factor in pace)
        measured[name] = LayerTimes(name, tuple(seconds), runs)
    return ModelProfile("random", "input", sizes[0], tuple(layers), measured=measured)


def random_world(chance: Chance, *, failures: bool = True) -> Scenario:
    """Return a scenario of one to three devices, an edge server and perhaps a cloud, that runs for some 40 requests.

    The devices and the edge hold the whole model; a cloud may be too small. With *failures* nodes and links go down
    and mostly come back.
    """
    model = random_profile(chance)
    costs = [("board", 2e-4, 1e-9), ("rack", 1e-4, 1e-9), ("hall", 0.0, 0.0)]
    machines = [
        machine(name, idle=1.0, busy=3.0, transmit=0.5, receive=0.2, message=message, byte=byte,
                cold=chance.pick([0.0, 2e-3]), rest=0.05)
        for name, message, byte in costs
    ]  # fmt: skip
    devices = chance.whole(1, 3)
    every = 0.3 * devices
    nodes: dict[str, Any] = {
        "device": {"kind": "device", "hardware": "board"} | ({"count": devices} if devices > 1 else {}),
        "edge": {"kind": "server", "hardware": "rack", **_processor(chance)},
    }
    links: dict[str, Any] = {"access": {"between": ["device", "edge"], **_link(chance)}}
    if chance.whole(0, 1):
        memory = {"memory": "5 kB"} if chance.whole(0, 2) == 0 else {}
        nodes["cloud"] = {"kind": "server", "hardware": "hall", **_processor(chance), **memory}
        links["core"] = {"between": ["edge", "cloud"], **_link(chance)}
    arrivals = chance.pick(
        [
            {"kind": "poisson", "rate": f"{1 / every} /s"},
            {"kind": "periodic", "every": f"{every} s", "phase": "random"},
            {"kind": "closed", "users": 2, "think": f"{2 * every} s", "spread": "exponential"},
        ]
    )
    data: dict[str, Any] = {
        "name": "random world",
        "seed": chance.whole(0, 10**6),
        "until": "12 s",
        "model": "random",
        "nodes": nodes,
        "links": links,
        "workload": {"kind": "inference", "sources": ["device"], "arrivals": arrivals, "deadline": "400 ms"},
        "technique": {"kind": "device-only"},
        "knowledge": {
            "bandwidth": chance.pick(["oracle", "last-transfer", {"ewma": 0.3}]),
            "load": chance.pick(["oracle", "none"]),
            "profile": chance.pick(["measured", {"error": 0.1}]),
        },
    }
    if failures and chance.whole(0, 1):
        data["dynamics"] = [_failure(chance, what) for what in _breakable(nodes, links, devices)]
    return Scenario.from_dict(data, Library(models=[model], machines=machines))


def _processor(chance: Chance) -> dict[str, Any]:
    concurrency = chance.pick(["slots", "shared", "partitioned"])
    more = {"slowdown": 1.5} if concurrency == "partitioned" else {}
    return {"slots": chance.whole(1, 3), "concurrency": concurrency, "load": chance.pick(["0 %", "40 %"]), **more}


def _link(chance: Chance) -> dict[str, Any]:
    sharing = chance.pick(["fifo", "fifo", "max-min", "airtime"])
    link: dict[str, Any] = {"delay": f"{chance.number(1e-4, 2e-2)} s", "sharing": sharing}
    link["connection"] = chance.pick(["none", "persistent", "slow-start"])
    if chance.whole(0, 1):
        return link | {"bandwidth": f"{chance.number(2e5, 5e7)} B/s", "duplex": chance.pick(["full", "half"])}
    burst = {"burst": "20 kB"} if sharing == "fifo" and chance.whole(0, 1) else {}
    return link | burst | {way: f"{chance.number(2e5, 5e7)} B/s" for way in ("up", "down")}


def _breakable(nodes: Mapping[str, Any], links: Mapping[str, Any], devices: int) -> list[dict[str, str]]:
    one = devices == 1
    named = [{"node": name} for name in nodes if one or name != "device"]
    return named + [{"link": name} for name in links if one or name != "access"]


def _failure(chance: Chance, what: Mapping[str, str]) -> dict[str, Any]:
    repair = {"repair_after": f"{chance.number(0.1, 3.0)} s"} if chance.whole(0, 3) else {}
    return {"kind": "failure", **what, "at": {"time": f"{chance.number(0.5, 10.0)} s"}, **repair}


def worlds(*, failures: bool = True) -> Any:
    """Return a Hypothesis strategy of random scenarios (see :func:`random_world`)."""
    return _strategy(lambda chance: random_world(chance, failures=failures))


def profiles() -> Any:
    """Return a Hypothesis strategy of random models (see :func:`random_profile`)."""
    return _strategy(random_profile)


def _strategy(make: Callable[[Chance], Any]) -> Any:
    from hypothesis import strategies  # an extra: only those who ask for strategies need it

    class Drawn:
        """Choices by Hypothesis."""

        def __init__(self, draw: Any) -> None:
            self.draw = draw

        def whole(self, low: int, high: int) -> int:
            return int(self.draw(strategies.integers(low, high)))

        def number(self, low: float, high: float) -> float:
            return float(self.draw(strategies.floats(low, high)))

        def pick(self, options: Sequence[T]) -> T:
            return options[self.whole(0, len(options) - 1)]

    return strategies.composite(lambda draw: make(Drawn(draw)))()


# -- the contract of a technique -----------------------------------------------------------------------------------


def check_technique(technique: Technique, scenarios: Iterable[Scenario] | None = None) -> None:
    """Raise ``AssertionError`` where *technique* breaks what every technique promises.

    It is frozen, hashable and can be written as YAML; in every scenario it answers with placements that can run, each
    layer of an answered request runs exactly once (at least once where things fail), it neither changes the view nor
    looks behind it, and the same seed gives the same run, whatever ran before.

    Args:
        technique: what to check.
        scenarios: where to play it, instead of random worlds (give your own where a parameter, such as the name of a
            server, fits certain worlds only); their techniques are left aside.
    """
    _check_parameters(technique)
    before = technique.model_copy(deep=True)
    played = (random_world(Seeded(seed)) for seed in range(WORLDS)) if scenarios is None else scenarios
    for number, scenario in enumerate(played):
        try:
            first, second = _play(technique, scenario), _play(technique, scenario)
            _check_same(first, second)
            _check_layers(first, len(scenario.library.model(scenario.entry.model.name, scenario.entry.model.input)))
            _demand(technique == before, "it changed while it ran: start() must return a fresh copy")
        except Exception as error:
            error.add_note(f"{type(technique).__name__} in world {number}:\n{scenario.text()}")
            raise


def _check_parameters(technique: Technique) -> None:
    kind = type(technique)
    hooks = [name for name, value in vars(Technique).items() if callable(value) and not name.startswith("_")]
    for name in vars(kind):
        near = [] if name in hooks or name.startswith("_") else get_close_matches(name, hooks, 1, 0.8)
        _demand(not near, f"{kind.__name__}.{name} is no hook, and nobody asks it; {near} is one: is that meant?")
    try:
        hash(technique)
    except TypeError as error:
        raise AssertionError(f"{kind.__name__} cannot be hashed: {error}; use tuples for its parameters") from None
    written = yaml.safe_load(yaml.safe_dump(technique.model_dump(mode="json")))
    again = kind.model_validate(written, context={"units": "written"})
    _demand(again == technique, f"{kind.__name__} written as YAML and read again is another: {again!r}, {technique!r}")


def _play(technique: Technique, scenario: Scenario) -> Results:
    simulation = Simulation(scenario.with_technique(technique))
    for service in simulation.services:
        service.view = _Glass(service.view)
    return simulation.run()


class _Glass(View):
    """A view through glass: everything public can be seen, nothing touched."""

    def __init__(self, view: View) -> None:
        object.__setattr__(self, "_seen", view)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        if name.startswith("_"):
            raise AssertionError(f"the technique looked behind the view (view.{name}); only its public part is stable")
        return getattr(object.__getattribute__(self, "_seen"), name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AssertionError(f"the technique changed the view (view.{name} = {value!r}); it is there to be read")


def _check_same(first: Results, second: Results) -> None:
    for name, columns in first.columns.items():
        for key, values in columns.items():
            same = np.array_equal(values, second.columns[name][key], equal_nan=values.dtype.kind == "f")
            _demand(
                same, f"two runs with one seed differ in {name}.{key}: draw from self._rng only, keep no state outside"
            )


def _check_layers(results: Results, layers: int) -> None:
    spans, requests = results.columns["spans"], results.columns["requests"]
    done = (spans["kind"] == "compute") & spans["completed"]
    counts: dict[tuple[str, int], list[int]] = {}
    for source, number, start, stop in _rows(spans, ("source", "request", "from_layer", "to_layer"), done):
        count = counts.setdefault((source, number), [0] * layers)
        for layer in range(start, stop):
            count[layer] += 1
    failed = len(results.failures) > 0
    answered = np.isin(requests["outcome"].astype(str), ["done", "late"])
    for source, number, placement in _rows(requests, ("source", "request", "placement"), answered):
        count = counts.get((source, number), [0] * layers)
        right = all(count) if failed else count == [1] * layers
        _demand(right, f"{source} #{number} was answered, but its layers ran {count} times: {placement}")


def _rows(columns: Columns, names: Sequence[str], kept: Any) -> Iterator[tuple[Any, ...]]:
    return zip(*(columns[name][kept].tolist() for name in names), strict=True)


def _demand(holds: bool, sentence: str) -> None:
    """Raise *sentence* unless it *holds* (a plain ``assert`` would vanish under ``python -O``)."""
    if not holds:
        raise AssertionError(sentence)
