# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The first run
#
# A Raspberry Pi sees something, a server a few milliseconds away is thirty times faster, and the link between them is
# not fast. Where should the network be cut? This notebook runs the smallest shipped scenario, reads its tables, looks at
# pictures of it, changes the link, and writes a technique of its own.

# %%
import pandas as pd

from analysis import draw
from simulator import Placement, Request, Scenario, Seconds, Technique, View, run

# %% [markdown]
# ## A scenario is a file
#
# Nodes, links, who asks, and who decides. Everything that is physics is said with its unit; nothing has a silent default.
# What was left out and is not physics (`knowledge`, for one) is filled in and shown.

# %%
scenario = Scenario.load("quick/split_inference")
print(scenario.text())

# %% [markdown]
# ## Running it gives tables
#
# One row per request, with the unit in each column's name. The seven parts of a latency (`queue_s` to `hold_s`) add up
# to it.

# %%
results = run(scenario)
results.requests.set_index("request")[
    ["arrival_s", "latency_s", "placement", "queue_s", "compute_s", "transfer_s", "delay_s", "software_s"]
].head()

# %%
results.requests["placement"].value_counts()

# %% [markdown]
# All requests ran their first 32 layers on the Pi. The technique, `min-latency`, decided that once: what it can see did
# not change during the run. Its decision is a row as well, with what it expected.

# %%
results.decisions[["time_s", "answer", "predicted_s", "knowledge"]]

# %% [markdown]
# ## Why there?
#
# The figure `cuts` shows what an unloaded request would take for every place to cut, by the same formulas that the
# simulation obeys. Early cuts drown in bytes: the first layers of MobileNetV2 make tensors that are larger than the
# image. Late cuts leave all work to the Pi. In between are valleys, where a block has just made its tensor small.

# %%
cuts = draw("cuts", scenario)
cuts

# %% [markdown]
# Each figure carries its table. The five best cuts:

# %%
cuts.table.nsmallest(5, "latency_s")[["split_point", "layer", "crossing_bytes", "device_s", "transfer_s", "latency_s"]]

# %% [markdown]
# ## And when requests meet?
#
# The estimate is for a world without other requests; the mean of the run is higher. The Gantt chart shows why: requests
# that arrive close together wait for the Pi (the thin lines below a bar).

# %%
print(f"unloaded {cuts.table['latency_s'].min() * 1e3:.0f} ms, mean {results.requests['latency_s'].mean() * 1e3:.0f} ms")
draw("gantt", results)

# %%
draw("breakdown", results)

# %% [markdown]
# ## Another link
#
# A scenario is a value: `with_` returns a changed one, checked as the file was. The seed stays, so every bandwidth meets
# the same arrivals.

# %%
bandwidths = ["2 Mbit/s", "5 Mbit/s", "10 Mbit/s", "20 Mbit/s", "50 Mbit/s"]
runs = {rate: run(scenario.with_({"links.uplink.bandwidth": rate})) for rate in bandwidths}
pd.DataFrame(
    {
        rate: {
            "placement": ", ".join(made.summary()["placements"]),
            "median [ms]": round(made.summary()["latency_p50_s"] * 1e3),
            "99 % [ms]": round(made.summary()["latency_p99_s"] * 1e3),
            "device energy per request [J]": round(made.summary()["request_device_energy_j"], 3),
        }
        for rate, made in runs.items()
    }
).T

# %% [markdown]
# On a slow link everything stays on the Pi, on a fast one everything leaves it. At 2 Mbit/s the median is far above the
# 390 ms that the Pi needs: it is busy most of the time and requests queue. `min-latency` does not see queues.

# %% [markdown]
# ## A technique of one's own
#
# Frozen parameters and one method that answers a `Placement`. Nothing has to be registered to try it.


# %%
class FrugalSplit(Technique):
    """Take the split that costs the device least energy and is still in time; else the fastest."""

    budget: Seconds = 0.3
    """Latency allowed per request [s]."""

    asks = "request"

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Decide the split of one request."""
        options = view.splits(request)
        in_time = [option for option in options if view.latency(option) <= self.budget]
        return min(in_time, key=view.device_energy) if in_time else min(options, key=view.latency)


# %% [markdown]
# Same seed, same arrivals, same link: the runs differ in the decision only.

# %%
contestants = {
    "min-latency": results,
    **{f"frugal, {budget} s": run(scenario, technique=FrugalSplit(budget=budget)) for budget in (0.3, 0.4, 0.5)},
}
pd.DataFrame(
    {
        name: {
            "placement": ", ".join(made.summary()["placements"]),
            "mean [ms]": round(made.summary()["latency_mean_s"] * 1e3),
            "99 % [ms]": round(made.summary()["latency_p99_s"] * 1e3),
            "device energy per request [J]": round(made.summary()["request_device_energy_j"], 3),
        }
        for name, made in contestants.items()
    }
).T

# %% [markdown]
# A generous budget buys a little energy for a lot of time. And it is a promise about unloaded requests only: with 0.5 s
# of budget the slowest requests take longer than that, because the link is now busy and requests wait for it.
#
# One line checks that a technique keeps its side of the contract in random worlds: valid placements, the same answers
# under the same seed, nothing changed that is not its own.

# %%
from simulator.testing import check_technique

check_technique(FrugalSplit())

# %% [markdown]
# From here: [write a scenario](../docs/how-to/write_a_scenario.md), [your first technique](../docs/tutorial/first_technique.md),
# [what a view knows](../docs/explanation/views.md).
