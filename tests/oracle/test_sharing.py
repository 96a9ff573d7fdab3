"""Fair sharing: known small answers, the max-min conditions, and water-filling by linear programming (SciPy)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import linprog
from support import play

from simulator import Library, Scenario
from simulator.foundation.errors import LinkDown
from simulator.physics.engine import Environment
from simulator.physics.sharing import Fair, Flow, Resource, fill
from simulator.profiles.trace import Trace
from simulator.testing import chain, machine

# -- known answers, through scenarios ------------------------------------------------------------------------------


def senders(links: dict, megabytes: float = 8.0) -> Scenario:
    """Return a scenario in which ``a`` and ``b`` each send so much at 0 s to the last server; nothing else costs."""
    model = chain((megabytes * 1e6, 0.0), {"free": (0.0,)})
    servers = ["hub"] if "core" not in links else ["hub", "cloud"]
    return Scenario.from_dict(
        {
            "name": "senders", "until": "1 s", "model": "tiny", "variability": "none",
            "nodes": {name: {"kind": "device", "hardware": "free"} for name in "ab"}
            | {name: {"kind": "server", "hardware": "free", "slots": 2} for name in servers},
            "links": {name: {"delay": "0 s", "connection": "none", **link} for name, link in links.items()},
            "workload": {"kind": "inference", "sources": ["a", "b"],
                         "arrivals": {"kind": "periodic", "every": "100 s"}},
            "technique": {"kind": "server-only", "server": servers[-1]},
        },
        Library(models=[model], machines=[machine("free")]),
    )  # fmt: skip


def test_two_flows_whose_max_min_rates_are_2_and_8():
    """Both cross a core of 10; one has an access link of 2. 8 MB take 4 s and 1 s."""
    links = {
        "slow": {"between": ["a", "hub"], "bandwidth": "2 MB/s", "sharing": "max-min"},
        "fast": {"between": ["b", "hub"], "bandwidth": "100 MB/s", "sharing": "max-min"},
        "core": {"between": ["hub", "cloud"], "bandwidth": "10 MB/s", "sharing": "max-min"},
    }
    assert play(senders(links)).requests["latency_s"].tolist() == pytest.approx([4.0, 1.0], rel=1e-9)


def test_what_a_finished_flow_leaves_goes_to_the_other():
    """5 each of a core of 10; then 10 for the one that is left: 8 MB after 1.6 s, and the same for both."""
    links = {
        "one": {"between": ["a", "hub"], "bandwidth": "50 MB/s", "sharing": "max-min"},
        "two": {"between": ["b", "hub"], "bandwidth": "6 MB/s", "sharing": "max-min"},
        "core": {"between": ["hub", "cloud"], "bandwidth": "10 MB/s", "sharing": "max-min"},
    }
    assert play(senders(links)).requests["latency_s"].tolist() == pytest.approx([1.6, 1.6], rel=1e-9)
    uneven = senders(links).with_({"links.two.bandwidth": "4 MB/s"})  # rates 6 and 4; the first ends at 4/3 s
    assert play(uneven).requests["latency_s"].tolist() == pytest.approx([8 / 6, 2.0], rel=1e-9)


def test_stations_at_54_and_1_mbit_on_one_medium_get_equal_throughput():
    """The 802.11 anomaly: 1 / (1/54 + 1/1) = 0.98 Mbit/s for both, though one could do 54."""
    cell = {"sharing": "airtime", "medium": "cell"}
    links = {
        "near": {"between": ["a", "hub"], "bandwidth": "54 Mbit/s", **cell},
        "far": {"between": ["b", "hub"], "bandwidth": "1 Mbit/s", **cell},
    }
    near, far = play(senders(links)).requests["latency_s"]
    each = 1 / (1 / 54 + 1 / 1)
    assert near == pytest.approx(64 / each, rel=1e-9)
    assert far == pytest.approx(64 / each, rel=1e-9)
    apart = senders(links).with_({"links.far.medium": "another"})
    assert play(apart).requests["latency_s"].tolist() == pytest.approx([64 / 54, 64.0], rel=1e-9)


def test_a_group_on_one_shared_link_or_on_links_of_its_own():
    base = senders({"up": {"between": ["a", "hub"], "bandwidth": "8 MB/s", "sharing": "max-min"},
                    "other": {"between": ["b", "hub"], "bandwidth": "8 MB/s"}})  # fmt: skip
    group = base.with_({"nodes.a.count": 4, "workload.sources": ["a"], "nodes.hub.slots": 4})
    assert play(group).requests["latency_s"].tolist() == pytest.approx([1.0] * 4)
    assert play(group.with_({"links.up.shared": True})).requests["latency_s"].tolist() == pytest.approx([4.0] * 4)
    in_turn = group.with_({"links.up.shared": True, "links.up.sharing": "fifo"})
    assert play(in_turn).requests["latency_s"].tolist() == pytest.approx([1.0, 2.0, 3.0, 4.0])


# -- random networks -----------------------------------------------------------------------------------------------


def random_component(seed: int) -> tuple[list[Resource], list[Flow], np.ndarray]:
    """Return resources, flows and the matrix of use (resources, flows): how much of each one byte/s takes."""
    rng = np.random.default_rng(seed)
    media = [bool(rng.integers(0, 3) == 0) for _ in range(rng.integers(1, 6))]
    resources = [
        Resource(str(i), Trace.of(1.0 if medium else float(rng.uniform(1, 20)))) for i, medium in enumerate(media)
    ]
    flows, matrix = [], []
    for _ in range(rng.integers(1, 8)):
        chosen = rng.permutation(len(media))[: rng.integers(1, len(media) + 1)].tolist()
        own = {i: float(rng.uniform(1, 20)) for i in chosen if media[i]}
        uses = [(resources[i], Trace.of(own[i]) if media[i] else None) for i in chosen]
        flow = Flow(uses, 1.0, 0.0, 0.0)
        for resource, _ in uses:
            resource.flows[flow] = None
        flows.append(flow)
        matrix.append([0.0 if i not in chosen else 1 / own[i] if media[i] else 1.0 for i in range(len(media))])
    return resources, flows, np.array(matrix).T


def water_filling(use: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """Return the max-min rates by linear programs: raise the lowest as far as it goes, fix who can go no further."""
    count = use.shape[1]
    floor, fixed = np.zeros(count), np.zeros(count, dtype=bool)
    while not fixed.all():
        # variables: rates and the common level of those not fixed
        level = np.where(fixed, 0.0, 1.0)
        tie = np.hstack([-np.eye(count), level[:, None]])
        rows = np.vstack([np.hstack([use, np.zeros((len(use), 1))]), tie])
        limits = np.concatenate([capacity, np.where(fixed, -floor, 0.0)])
        best = linprog([0.0] * count + [-1.0], rows, limits, bounds=(0, None)).x[-1]
        floor = np.where(fixed, floor, best)
        for flow in np.flatnonzero(~fixed):
            aim = np.zeros(count)
            aim[flow] = -1.0
            most = -linprog(aim, use, capacity, bounds=[(max(0.0, low * (1 - 1e-9)), None) for low in floor]).fun
            if most <= best * (1 + 1e-6):
                fixed[flow] = True
    return floor


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_against_linear_programs(seed):
    resources, flows, use = random_component(seed)
    fill(flows, 0.0)
    capacity = np.array([resource.capacity.at(0.0) for resource in resources])
    assert [flow.rate for flow in flows] == pytest.approx(water_filling(use, capacity).tolist(), rel=1e-5)


@pytest.mark.parametrize("seed", range(100, 200))
def test_every_flow_has_a_saturated_bottleneck_where_nobody_is_faster(seed):
    """The definition of max-min fairness (Bertsekas & Gallager, 6.5.2)."""
    resources, flows, use = random_component(seed)
    fill(flows, 0.0)
    rates = np.array([flow.rate for flow in flows])
    capacity = np.array([resource.capacity.at(0.0) for resource in resources])
    used = use @ rates
    assert (used <= capacity * (1 + 1e-9)).all()
    for number, rate in enumerate(rates):
        assert any(
            use[r, number] > 0
            and used[r] == pytest.approx(capacity[r], rel=1e-9)
            and rate >= rates[use[r] > 0].max() * (1 - 1e-9)
            for r in range(len(resources))
        )


# -- flows that come and go, solved again event by event -----------------------------------------------------------


def fluid_by_hand(flows: list[tuple[float, float]], use: np.ndarray, capacities: list[Trace]) -> list[float]:
    """Return when each of *flows* (begin, bytes) ends: between any two events all rates are constant."""
    left = {i: size for i, (_, size) in enumerate(flows)}
    ends = [math.nan] * len(flows)
    now = 0.0
    while left:
        present = [i for i in left if flows[i][0] <= now]
        then = min([flows[i][0] for i in left if flows[i][0] > now], default=math.inf)
        then = min([then, *(capacity.next_change(now) for capacity in capacities)])
        rates = {}
        if present:
            there = np.array([capacity.at(now) for capacity in capacities])
            rates = dict(zip(present, water_filling(use[:, present], there).tolist(), strict=True))
            then = min([then, *(now + left[i] / rate for i, rate in rates.items() if rate > 1e-12)])
        for i, rate in rates.items():
            left[i] -= rate * (then - now)
            if left[i] <= 1e-6:
                ends[i] = then
                del left[i]
        now = then
    return ends


@pytest.mark.parametrize("seed", range(8))
def test_flows_that_come_and_go_end_when_a_solution_event_by_event_says(seed):
    rng = np.random.default_rng(seed)
    capacities = [
        Trace([0.0, *np.sort(rng.uniform(0.1, 3.9, 2)).tolist()], [*rng.uniform(1, 10, 2).tolist(), 0.0], 4.0, "wrap")
        for _ in range(2)
    ] + [Trace.of(8.0)]
    env = Environment()
    fair = Fair(env)
    resources = [Resource(str(i), capacity) for i, capacity in enumerate(capacities)]
    jobs, use, ends = [], np.zeros((3, 7)), {}

    def story(i, begin, size, uses):
        yield begin
        yield fair.submit(uses, size)
        ends[i] = env.now

    for i in range(7):
        chosen = rng.permutation(3)[: rng.integers(1, 4)].tolist()
        use[chosen, i] = 1.0
        jobs.append((float(rng.uniform(0, 4)), float(rng.uniform(1, 15))))
        env.start(story(i, *jobs[-1], [(resources[r], None) for r in chosen]))
    env.run()
    assert [ends[i] for i in range(7)] == pytest.approx(fluid_by_hand(jobs, use, capacities), rel=1e-5)


def test_a_flow_that_meets_a_capacity_of_zero_waits_for_the_next_step():
    env = Environment()
    fair = Fair(env)
    wire = Resource("wire", Trace([0.0, 1.0], [0.0, 2.0], 5.0, "hold"))
    ends = []

    def story():
        yield fair.submit([(wire, None)], 3.0)
        ends.append(env.now)

    env.start(story())
    env.run()
    assert ends == [2.5]


def test_a_failing_link_takes_its_own_flows_and_frees_the_others():
    """Three flows at a third each; one link fails at 1 s; the two that are left go on at a half each."""
    env = Environment()
    fair = Fair(env)
    medium = Resource("medium", Trace.of(1.0))
    uses = [[(medium, Trace.of(3.0))] for _ in range(3)]
    ended: dict[int, float | str] = {}

    def story(i):
        try:
            yield fair.submit(uses[i], 3.0)
            ended[i] = env.now
        except LinkDown as down:
            ended[i] = down.name

    for i in range(3):
        env.start(story(i))
    env.run(until=1.0)
    fair.fail([uses[1][0]], LinkDown, "second")
    env.run()
    assert ended == {1: "second", 0: pytest.approx(1.0 + 2.0 / 1.5), 2: pytest.approx(1.0 + 2.0 / 1.5)}
