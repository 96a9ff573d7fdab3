"""Scission: its rule replayed by the simulator, and each of its machines predicted as if it had not been measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.devices.contest import Trial, spread_anchors, summary
from calibration.devices.transfer import Prediction, Transfer
from calibration.fidelity.comparison import Comparison, Goal
from calibration.measured.pipelines import Links, PingLink, chains, latencies, pipeline, read_links, replay
from calibration.measured.scission import FILE, RAW_INPUT, BlockTable, Floats, read_blocks
from calibration.measured.tables import data_file
from simulator.foundation.errors import ProfileError
from simulator.profiles.placement import Placement

NAME = "scission"
TITLE = "Block times of Keras networks on five machines, each predicted from the others (Scission)"
ANCHORS = 5
AIMS = {0: 40.0, 3: 20.0, 5: 15.0}
"""Networks measured on the machine → median error to aim at [%]."""
_NETWORKS = ("network_stats", "network_stats_wired")


def compare(fit: Path | None = None, check: Path | None = None) -> Comparison:
    """Predict each network on each machine from the other machines, with 0, 3 and 5 other networks measured there.

    Args:
        fit: instead of Scission's own ``block_profiles.csv``.
        check: a file of that format: its networks on its machines are predicted, with anchors from the other one.
    """
    table = read_blocks(fit or data_file(FILE))
    checked = read_blocks(check) if check else None
    links = {name: read_links(data_file(f"scission/{name}.csv")) for name in _NETWORKS}
    trial = trial_of(table, checked)
    difference, partitions = rule_difference(trial.table, links)
    note = (
        f"Scission's rule in the simulator against its closed form: largest relative difference {difference:.1e} over "
        f"{partitions:,} partitions over one, two and three tiers"
    )
    goal = Goal("rule against closed form, all partitions", 100 * difference, 0.005)
    measured_on = (
        "raspi4 (Raspberry Pi 4), 2500 (i5-2500), vm2Core, 6700k (i7-6700K) without and with GPU; TensorFlow 2, batch "
        "1, mean of 10 runs; measured by Lockhart et al., UCC 2020"
    )
    return unseen(NAME, measured_on, trial, links, (goal,), (note,))


def trial_of(table: BlockTable, checked: BlockTable | None) -> Trial:
    """Return what to predict: all of *table*, or what was *checked* with anchors from *table*.

    A machine that *table* does not know takes its anchors from the other networks it was checked with.
    """
    if checked is None:
        return Trial.of(table)
    targets, own = Trial.of(checked).targets, Trial.of(table).targets
    anchors = {
        machine: tuple(n for n in own.get(machine, ()) if n not in names) or names for machine, names in targets.items()
    }
    return Trial(table.with_(checked), targets, anchors)


def unseen(
    name: str,
    measured_on: str,
    trial: Trial,
    links: Mapping[str, Links],
    goals: tuple[Goal, ...] = (),
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Return the comparison of *trial*: rows with up to 5 anchors spread in size, tables with anchors drawn at random.

    Raises:
        ProfileError: if nothing can be predicted.
    """
    choosing = Choosing(trial.table, links)
    errors = {count: trial.errors(count, regret=choosing.regrets) for count in AIMS}
    errors = {count: found for count, found in errors.items() if len(found)}
    if not errors:
        raise ProfileError(
            f"{trial.table.source}: nothing can be predicted: {', '.join(trial.targets)} ran no other network to be an "
            "anchor, and nothing public is known of it; measure another network there"
        )
    for count, found in errors.items():
        goals += _aims(count, summary(found))
    notes += (
        f"rows: each network on each machine from the other machines' times of it and {ANCHORS} networks measured "
        "there (evenly spaced in size, never the network itself), in a pipeline of one device and one server; tables: "
        "20 random draws of anchors per machine (fewer anchors where it ran fewer networks), and one prediction "
        "without any, by public facts alone (their grades: calibration/devices/public.py)",
        "only the unknown machine's segments and the total are predicted; uplink is the rule on both sides, simulated "
        "and in closed form, and rules the totals on slow links: the error of a machine is the tables'",
        "blocks and rows measured at zero (a coarse clock) count in sums alone",
    )
    rows = pd.concat(list(predicted_rows(trial, choosing)), ignore_index=True)
    return Comparison(name, measured_on, rows, goals, notes, _tables(trial, errors))


def _aims(count: int, figures: Mapping[str, float]) -> tuple[Goal, ...]:
    return (
        Goal(f"{count} anchors: median error of a network", figures["median error %"], AIMS[count]),
        Goal(f"{count} anchors: inside the 90 % interval", figures["inside 90 % interval %"], 95.0, least=85.0),
        Goal(f"{count} anchors: regret of the split chosen", figures["regret %"], 5.0),
    )


def _tables(trial: Trial, errors: Mapping[int, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the figures of each number of anchors, in all and by machine, and of each way to learn."""
    every = {f"{count} anchors": summary(found) for count, found in errors.items()}
    each = {
        f"{count} anchors, {machine}": summary(part)
        for count, found in errors.items()
        for machine, part in found.groupby("machine", sort=False)
    }
    tables = {
        "a machine left out, networks measured on it": pd.DataFrame(every).round(2).T.rename_axis("measured there"),
        "the same by machine": pd.DataFrame(each).round(2).T.rename_axis("measured there"),
    }
    contest = trial.contest(ANCHORS, times=4)
    if len(contest):
        tables["ways to learn from 5 anchors: median error %"] = contest.map(_short).T.rename_axis("machine left out")
    return tables


def _short(value: object) -> object:
    return round(value, 2) if isinstance(value, float) else value


@dataclass(frozen=True)
class Choosing:
    """Pipelines of a device and a server in which a prediction decides where to cut."""

    table: BlockTable
    links: Mapping[str, Links]

    def pairs(self, machine: str, model: str) -> Iterator[tuple[str, str, str, PingLink]]:
        """Yield (network file, device, server, link) for each pipeline of *machine* whose other end ran *model*.

        A machine without links takes those of one of its tier.
        """
        for file, links in self.links.items():
            yield from self._of(file, links, machine, model)

    def _of(self, file: str, links: Links, machine: str, model: str) -> Iterator[tuple[str, str, str, PingLink]]:
        stand_in = machine
        if not any(machine in ends for ends in links):
            tier = self.table.tier(machine)
            known = [m for m in self.table.machines if any(m in ends for ends in links)]
            stand_in = next((m for m in known if self.table.tier(m) == tier), machine)
        for (sender, receiver), link in links.items():
            ends = [machine if end == stand_in else end for end in (sender, receiver)]
            other = ends[0] if ends[1] == machine else ends[1]
            if machine not in ends or not self.table.has(other, model) or other == machine:
                continue
            if self.table.tier(ends[0]) == "device":
                yield file, ends[0], ends[1], PingLink(ends[0], ends[1], link.ping, link.rate)

    def regrets(self, prediction: Prediction) -> list[float]:
        """Return by how much the cut chosen by *prediction* is slower than the best, per pipeline."""
        found = []
        for _, device, server, link in self.pairs(prediction.machine, prediction.model):
            truth = totals(self.table, prediction.model, device, server, link)
            guess = totals(self.table, prediction.model, device, server, link, prediction)
            found.append(float(truth[guess.argmin()] / truth.min() - 1))
        return found


def totals(
    table: BlockTable, model: str, device: str, server: str, link: PingLink, instead: Prediction | None = None
) -> Floats:
    """Return Scission's latency of each cut from 0 (all on the server) to the last (all on the device) [s].

    Args:
        table: block times.
        model: the network.
        device: runs the blocks before the cut.
        server: runs the others.
        link: between them.
        instead: takes the place of its machine's times.
    """
    here, there = (
        instead.seconds if instead is not None and instead.machine == name else table.seconds(name, model)
        for name in (device, server)
    )
    sizes = np.array([RAW_INPUT, *table.sizes(model)[:-1]])
    way = np.append(link.ping + sizes / link.rate, 0.0)
    return np.asarray(np.append(0.0, np.cumsum(here)) + way + np.append(np.cumsum(there[::-1])[::-1], 0.0))


def predicted_rows(trial: Trial, choosing: Choosing) -> Iterator[pd.DataFrame]:
    """Yield the rows of each machine, network and network file."""
    for machine, names in trial.targets.items():
        for model in names:
            free = [name for name in trial.anchors.get(machine, ()) if name != model]
            prediction = Transfer(trial.table, machine, spread_anchors(trial.table, free, ANCHORS)).predict(model)
            done = set()
            for file, device, server, link in choosing.pairs(machine, model):
                if file not in done:  # one partner a file: the first that the file joins to it
                    done.add(file)
                    yield _rows(trial.table, prediction, file, device, server, link)


def _rows(
    table: BlockTable, prediction: Prediction, file: str, device: str, server: str, link: PingLink
) -> pd.DataFrame:
    """Return measured and simulated segments of each cut, with the interval of the unknown machine's part."""
    model, machine = prediction.model, prediction.machine
    other = server if machine == device else device
    profile = table.profile(model, [other], [prediction.times()])
    simulated = replay(profile, device, server, {(device, server): link})
    rows = []
    blocks = len(profile)
    measured = totals(table, model, device, server, link)
    times = {name: table.seconds(name, model) for name in (device, server)}
    for split, at in simulated.iterrows():
        cut = int(str(split))
        known = {"device": times[device][:cut].sum(), "server": times[server][cut:].sum(), "total": measured[cut]}
        known["uplink"] = known["total"] - known["device"] - known["server"]
        part = prediction.between(0, cut) if machine == device else prediction.between(cut, blocks)
        mine = "device" if machine == device else "server"
        for segment in ("uplink", mine, "total"):
            spread = (0.0, 0.0) if segment == "uplink" else (part[1] - part[0], part[2] - part[0])
            low, high = (float(at[segment]) + side for side in spread)
            condition = f"{machine} unseen, {device} to {server}, {file}"
            rows.append((model, condition, cut, segment, float(known[segment]), float(at[segment]), low, high))
    names = ["model", "condition", "split", "segment", "measured_s", "predicted_s", "low_s", "high_s"]
    return pd.DataFrame(rows, columns=names).assign(grade=prediction.grade, held_out=True)


def rule_difference(table: BlockTable, links: Mapping[str, Links]) -> tuple[float, int]:
    """Return the largest relative difference between simulator and closed form, and the number of partitions."""
    largest, count = 0.0, 0
    for joints in links.values():
        for device in (name for name in table.machines if any(name == sender for sender, _ in joints)):
            if table.tier(device) != "device":
                continue
            for model in (name for name in table.models if table.has(device, name)):
                profile = table.profile(model)
                for chain in chains(joints, device):
                    if all(name in profile.measured for name in chain):
                        for placement, latency in latencies(pipeline(profile, chain, joints)).items():
                            expected = closed_form(table, model, placement, chain, joints)
                            largest, count = max(largest, abs(latency / expected - 1)), count + 1
    return largest, count


def closed_form(table: BlockTable, model: str, placement: Placement, chain: tuple[str, ...], links: Links) -> float:
    """Return Scission's latency of *placement* [s]: block times, and per link ping and bytes over its rate."""
    sizes = [RAW_INPUT, *table.sizes(model)]
    seconds = sum(table.seconds(s.node, model)[s.start : s.stop].sum() for s in placement.segments)
    here = chain[0]
    for segment in placement.segments:
        if segment.node != here:
            seconds += links[here, segment.node].seconds(sizes[segment.start])
            here = segment.node
    return float(seconds)
