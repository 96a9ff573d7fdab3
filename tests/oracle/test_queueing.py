"""Queueing theory: means of independent runs against closed forms, by 99.9 % t-intervals.

Each figure is estimated by 24 independent runs (own seed, own start from empty, the first tenth of the customers left
out); their mean and spread give a Student interval, which must hold the theory. An interval too wide to tell a wrong
model from a right one fails too: it must be narrower than 5 % of the theory. Seeds are fixed, so a pass stays a pass.

Through the public API, service is random by the profile's own repeats: a request meets one of them at random, so the
theory is that of M/G/1 with the moments of the repeats. Exponential service, which theory needs for several servers,
is drawn in the test and given to the stations.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from support import play

from simulator import Library, Scenario
from simulator.foundation.errors import NodeDown
from simulator.physics.engine import Environment
from simulator.physics.station import Fifo, Shared
from simulator.profiles.trace import Trace
from simulator.testing import chain, machine

RUNS, CUSTOMERS = 24, 8000


def agrees(samples: list[float], theory: float, narrow: float = 0.05) -> None:
    """Demand that the 99.9 % interval of *samples* (one figure per independent run) holds *theory*, and is narrow."""
    assert len(samples) >= 20
    half = stats.t.ppf(0.9995, len(samples) - 1) * np.std(samples, ddof=1) / math.sqrt(len(samples))
    assert half < narrow * theory
    assert abs(np.mean(samples) - theory) <= half, f"{np.mean(samples)} +- {half}, theory {theory}"


# -- stations with service drawn here ------------------------------------------------------------------------------


def sojourns(make_stations, rate: float, seed: int, deterministic: bool = False) -> np.ndarray:
    """Return the time each customer of one run spends in all stations (mean service 1 in each)."""
    rng = np.random.default_rng([seed, 77])
    env = Environment()
    stations = make_stations(env)
    arrivals = np.cumsum(rng.exponential(1 / rate, CUSTOMERS)).tolist()
    work = np.ones((CUSTOMERS, len(stations))) if deterministic else rng.exponential(1.0, (CUSTOMERS, len(stations)))
    found = np.empty(CUSTOMERS)

    def customer(i, arrival, services):
        for station, service in zip(stations, services, strict=True):
            yield station.submit(service)
        found[i] = env.now - arrival

    def source():
        for i, (arrival, services) in enumerate(zip(arrivals, work.tolist(), strict=True)):
            yield arrival
            env.start(customer(i, arrival, services))

    env.start(source())
    env.run()
    return found[CUSTOMERS // 10 :]


def fifo(servers: int = 1):
    return lambda env: [Fifo(env, "cpu", Trace.of(1.0), NodeDown, servers)]


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability that a customer of M/M/c waits."""
    full = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return full / (sum(offered**k / math.factorial(k) for k in range(servers)) + full)


def test_m_m_1():
    rho = 0.7
    runs = [sojourns(fifo(), rho, seed) for seed in range(RUNS)]
    agrees([run.mean() for run in runs], 1 / (1 - rho))
    # the whole law is known: exponential, so this share stays longer than twice the mean
    agrees([(run > 2 / (1 - rho)).mean() for run in runs], math.exp(-2), narrow=0.15)


def test_m_d_1():
    rho = 0.7
    agrees([sojourns(fifo(), rho, s, deterministic=True).mean() for s in range(RUNS)], 1 + rho / (2 * (1 - rho)))


def test_m_m_3():
    servers, offered = 3, 2.1
    theory = 1 + erlang_c(servers, offered) / (servers - offered)
    agrees([sojourns(fifo(servers), offered, seed).mean() for seed in range(RUNS)], theory)


def test_a_tandem_of_two_is_two_queues_apart():
    """Burke (1956): what leaves M/M/1 is Poisson again."""
    rho = 0.6
    both = lambda env: fifo()(env) + fifo()(env)
    agrees([sojourns(both, rho, seed).mean() for seed in range(RUNS)], 2 / (1 - rho))


def test_m_m_1_processor_sharing():
    rho = 0.7
    shared = lambda env: [Shared(env, "cpu", Trace.of(1.0), NodeDown)]
    agrees([sojourns(shared, rho, seed).mean() for seed in range(RUNS)], 1 / (1 - rho))


def test_m_m_3_with_shared_slots_has_the_mean_of_m_m_3():
    """Limited processor sharing works at the same total rate as three servers; the number present has the same law."""
    servers, offered = 3, 2.1
    shared = lambda env: [Shared(env, "cpu", Trace.of(1.0), NodeDown, servers)]
    theory = 1 + erlang_c(servers, offered) / (servers - offered)
    agrees([sojourns(shared, offered, seed).mean() for seed in range(RUNS)], theory)


def test_a_server_at_half_capacity_is_a_slower_server():
    """M/M/1 under a capacity that flickers between 0.4 and 0.6 far faster than jobs come: as one of rate 0.5."""
    flicker = Trace([0.0, 0.01], [0.4, 0.6], 0.02, "wrap")
    station = lambda env: [Fifo(env, "cpu", flicker, NodeDown)]
    agrees([sojourns(station, 0.35, seed).mean() for seed in range(RUNS)], 1 / (0.5 - 0.35))


# -- through scenarios ---------------------------------------------------------------------------------------------

RATE = 7.0
UNTIL = 4000.0


def service_times() -> np.ndarray:
    """Return 500 repeats of a mean of 0.1 s, as spread as an exponential law (its quantiles)."""
    return -0.1 * np.log1p(-(np.arange(500) + 0.5) / 500)


def server(repeats: np.ndarray, concurrency: str = "slots") -> Scenario:
    """Return a device whose only layer varies as *repeats* do, asked by a Poisson process."""
    model = chain((0.0, 0.0), {"board": (float(repeats.mean()),)}, repeats={"board": [(s,) for s in repeats.tolist()]})
    return Scenario.from_dict(
        {
            "name": "queue", "until": f"{UNTIL} s", "warmup": "400 s", "model": "tiny",
            "nodes": {"pi": {"kind": "device", "hardware": "board", "concurrency": concurrency}},
            "workload": {"kind": "inference", "sources": ["pi"], "arrivals": {"kind": "poisson", "rate": f"{RATE} /s"}},
            "technique": {"kind": "device-only"},
        },
        Library(models=[model], machines=[machine("board")]),
    )  # fmt: skip


def means(scenario: Scenario) -> list[float]:
    return [
        play(scenario.with_({"seed": seed, "record": "requests"})).summary()["latency_mean_s"] for seed in range(RUNS)
    ]


def test_a_scenario_is_the_queue_of_pollaczek_and_khinchine():
    repeats = service_times()
    rho = RATE * repeats.mean()
    agrees(means(server(repeats)), repeats.mean() + RATE * (repeats**2).mean() / (2 * (1 - rho)))


def test_a_scenario_without_variability_is_m_d_1():
    repeats = service_times()
    rho, mean = RATE * repeats.mean(), repeats.mean()
    agrees(means(server(repeats).with_({"variability": "none"})), mean + RATE * mean**2 / (2 * (1 - rho)))


def test_a_shared_processor_does_not_care_for_the_spread_of_service():
    """M/G/1-PS: the mean sojourn is that of M/M/1, whatever the law of service."""
    two_kinds = np.array([0.04] * 80 + [0.34] * 20)
    agrees(means(server(two_kinds, "shared")), two_kinds.mean() / (1 - RATE * two_kinds.mean()))


def test_littles_law():
    """L counted at random instants from the spans, W from the requests, the rate from the scenario: L = rate x W."""
    differences, lengths = [], []
    for seed in range(RUNS):
        results = play(server(service_times()).with_({"seed": seed}))
        spans, requests = results.columns["spans"], results.columns["requests"]
        instants = np.random.default_rng(seed).uniform(0.1 * UNTIL, UNTIL, 20_000)
        came = np.searchsorted(np.sort(spans["queued_s"]), instants, side="right")
        gone = np.searchsorted(np.sort(spans["finish_s"]), instants, side="right")
        length = (came - gone).mean()
        wait = requests["latency_s"][requests["arrival_s"] > 0.1 * UNTIL].mean()
        differences.append(length - RATE * wait)
        lengths.append(length)
    agrees([np.mean(lengths) + difference for difference in differences], np.mean(lengths))


# -- another simulator ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_ciw_serves_the_same_customers_at_the_same_instants():
    """M/M/3 in Ciw, given the very arrivals and services that our station gets."""
    ciw = pytest.importorskip("ciw", reason="Ciw is not a dependency; install it to compare")
    rng = np.random.default_rng(5)
    gaps, services = rng.exponential(1 / 2.4, 500).tolist(), rng.exponential(1.0, 500).tolist()
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([*gaps, math.inf])],
        service_distributions=[ciw.dists.Sequential(services)],
        number_of_servers=[3],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(2000)
    theirs = sorted((record.arrival_date, record.exit_date) for record in simulation.get_all_records())
    env = Environment()
    station = Fifo(env, "cpu", Trace.of(1.0), NodeDown, 3)
    ours = []

    def source():
        for arrival, service in zip(np.cumsum(gaps).tolist(), services, strict=True):
            yield arrival
            ours.append((arrival, station.submit(service)))

    env.start(source())
    env.run()
    assert len(theirs) == 500
    assert [ticket.finish for _, ticket in ours] == pytest.approx([exit for _, exit in theirs], rel=1e-9)
