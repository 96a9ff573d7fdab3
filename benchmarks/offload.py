"""The workload "offload/1", through the public API, beside a textbook SimPy model in the same run.

N devices, S = max(1, N // 50) servers. Device i asks by a Poisson process of 1 /s; head 0.2 s on the device (FIFO),
125 kB up its own link (4 Mbit/s, then 10 ms), 10 ms on server i mod S (FIFO), 1,250 B down its own link (10 Mbit/s,
then 10 ms). Timed, on the CPU clock: building the model, drawing arrivals, running, and typed columns of every
request. Ratios are medians over interleaved repetitions.

    python benchmarks/offload.py --devices 1000 --duration 200 --json
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import simpy

from simulator import Hardware, Layer, LayerTimes, Library, ModelProfile, Scenario, Simulation
from simulator.profiles.hardware import Fact

HEAD, UP, SERVE, DOWN, DELAY = 0.2, 125_000 * 8 / 4e6, 0.01, 1_250 * 8 / 10e6, 0.01


def machine(name: str) -> Hardware:
    """Return hardware without any cost of its own."""
    none = Fact(0.0, "guessed", "the workload's definition has none")
    memory = Fact(1e12, "guessed", "the workload's definition has no limit")
    return Hardware(name, name, memory, none, none, none, none, none, none, none, none)


def scenario(devices: int, duration: float, record: str, seed: int = 1) -> Scenario:
    """Return offload/1 as a scenario: one group of devices per server."""
    layers = (
        Layer("head", "Head", "conv", ("input",), 0.0, 0.0, 125_000.0, 0.0),
        Layer("tail", "Tail", "conv", ("head",), 0.0, 0.0, 1_250.0, 0.0),
    )
    times = {
        "bench-device": LayerTimes("bench-device", (HEAD, 1.0)),
        "bench-server": LayerTimes("bench-server", (1.0, SERVE)),
    }
    model = ModelProfile("offload", "input", 125_000.0, layers, measured=times)
    library = Library(models=[model], machines=[machine("bench-device"), machine("bench-server")])
    servers = max(1, devices // 50)
    counts = [len(range(i, devices, servers)) for i in range(servers)]
    nodes: dict[str, object] = {}
    links: dict[str, object] = {}
    for i, count in enumerate(counts):
        nodes[f"device{i}"] = {"kind": "device", "hardware": "bench-device", "count": count}
        nodes[f"server{i}"] = {"kind": "server", "hardware": "bench-server"}
        links[f"link{i}"] = {
            "between": [f"device{i}", f"server{i}"], "up": "4 Mbit/s", "down": "10 Mbit/s", "delay": "10 ms",
            "connection": "none",
        }  # fmt: skip
    data = {
        "name": "offload/1", "seed": seed, "until": f"{duration} s", "model": "offload", "record": record,
        "nodes": nodes, "links": links, "technique": {"kind": "fixed-split", "split_point": 1},
        "workload": {
            "kind": "inference", "sources": [f"device{i}" for i in range(servers)],
            "arrivals": {"kind": "poisson", "rate": "1 /s"},
        },
    }  # fmt: skip
    return Scenario.from_dict(data, library)


def textbook(devices: int, duration: float, seed: int = 1) -> list[float]:
    """Run offload/1 as SimPy's tutorial would write it and return the latencies [s]."""
    env = simpy.Environment()
    rng = np.random.default_rng(seed)
    servers = [simpy.Resource(env) for _ in range(max(1, devices // 50))]
    latencies: list[float] = []

    def request(cpu: simpy.Resource, up: simpy.Resource, server: simpy.Resource, down: simpy.Resource):  # noqa: ANN202
        begin = env.now
        for resource, service, delay in ((cpu, HEAD, 0), (up, UP, DELAY), (server, SERVE, 0), (down, DOWN, DELAY)):
            with resource.request() as turn:
                yield turn
                yield env.timeout(service)
            if delay:
                yield env.timeout(delay)
        latencies.append(env.now - begin)

    def device(number: int, gaps: list[float]):  # noqa: ANN202
        cpu, up, down = simpy.Resource(env), simpy.Resource(env), simpy.Resource(env)
        for gap in gaps:
            yield env.timeout(gap)
            if env.now >= duration:
                return
            env.process(request(cpu, up, servers[number % len(servers)], down))

    expected = int(duration + 8 * duration**0.5 + 16)
    for number in range(devices):
        env.process(device(number, rng.exponential(1.0, expected).tolist()))
    env.run()
    return latencies


def cpu_seconds(work: Callable[[], int]) -> tuple[float, int]:
    """Return the CPU time of *work* [s] and the number it returns."""
    gc.collect()
    begin = time.process_time()
    count = work()
    return time.process_time() - begin, count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--duration", type=float, default=200.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    devices, duration = arguments.devices, arguments.duration
    ready = {record: scenario(devices, duration, record) for record in ("requests", "spans")}
    means: dict[str, float] = {}

    def offing(record: str) -> Callable[[], int]:
        def work() -> int:
            columns = Simulation(ready[record]).run().columns["requests"]
            means[record] = float(columns["latency_s"].mean())
            return len(columns["latency_s"])

        return work

    def plain() -> int:
        latencies = textbook(devices, duration)
        means["textbook"] = sum(latencies) / len(latencies)
        return len(latencies)

    contestants = {"textbook": plain, "requests": offing("requests"), "spans": offing("spans")}
    micros: dict[str, list[float]] = {name: [] for name in contestants}
    requests: dict[str, int] = {}
    for _ in range(arguments.repeats):
        for name, work in contestants.items():
            seconds, requests[name] = cpu_seconds(work)
            micros[name].append(seconds / requests[name] * 1e6)
    cost = {name: statistics.median(values) for name, values in micros.items()}
    report = {
        "workload": "offload/1", "devices": devices, "duration_s": duration, "repeats": arguments.repeats,
        "requests": requests, "us_per_request": {name: round(value, 3) for name, value in cost.items()},
        "latency_mean_s": means,
        "ratio_to_textbook_simpy": {
            "dynamic": round(cost["textbook"] / cost["requests"], 2),
            "dynamic_with_spans": round(cost["textbook"] / cost["spans"], 2),
        },
    }  # fmt: skip
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    print(f"offload/1, {devices} devices, {duration:g} s, median of {arguments.repeats}, CPU time")
    for name, value in cost.items():
        print(f"  {name:10s} {value:8.2f} us/request   {cost['textbook'] / value:6.2f}x   "
              f"mean latency {means[name]:.6f} s")  # fmt: skip


if __name__ == "__main__":
    main()
