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
# # Is adaptive partitioning worth it on a fading link?
#
# A Raspberry Pi reaches its server over 4G, on the move. The cut that is best now is not the best in a minute: so change
# it with the link? That takes somebody who looks at the link, and looking costs; and it takes changes, and they cost too.
# This notebook adds these costs up. The bandwidth is synthetic (drawn from the seed, with the statistics of recorded 4G);
# all pictures say so in their corner.

# %%
import pandas as pd
from pydantic import PrivateAttr

from analysis import compare, draw
from analysis.figures import differences, regret
from simulator import Placement, Redeployment, Request, Scenario, Seconds, Technique, View, run

# %% [markdown]
# ## One drive
#
# The policy `adaptive` looks every five seconds at what the probes have shown, and changes the cut where that promises to
# save a tenth of the latency. A change keeps requests waiting for 0.6 s: what NEUKONFIG measured for a second pipeline that
# is made in the memory of the first.

# %%
scenario = Scenario.load("quick/adaptive_4g")
results = run(scenario)
draw("adaptation", results)

# %% [markdown]
# In the middle the truth in grey and what was known of it as dots. Below, the cut follows: on a slow link all layers stay
# on the Pi, on a fast one the Pi hands over early. Each request has the colour of its cut. A change can only come late:
# first a probe has to show that the link is another, then the policy has to look.

# %%
results.decisions[["time_s", "hook", "answer", "predicted_s", "downtime_s"]].head(8)

# %% [markdown]
# ## Who looks at the link?
#
# Probes are messages nobody asked for. Why not learn from one's own transfers, which are for free? The same drive again:

# %%
blind = scenario.with_({"knowledge": {"bandwidth": "last-transfer"}})
alone = run(blind)
draw("adaptation", alone)

# %% [markdown]
# Once a transfer has met a bad link, everything moves to the Pi. Then nothing is sent any more, so nothing is learnt any
# more, and the policy believes in a bad link for ever.

# %%
sent = alone.spans[alone.spans["kind"] == "transfer"]["finish_s"]
later = alone.requests[alone.requests["arrival_s"] > sent.max()]
print(f"the last transfer ended at {sent.max():.0f} s of {alone.meta['until_s']:.0f} s")
print(f"of {len(later)} requests since then {(later['split_point'] == 153).sum()} stayed on the Pi")
print(f"mean latency {alone.summary()['latency_mean_s'] * 1e3:.0f} ms, with probes "
      f"{results.summary()['latency_mean_s'] * 1e3:.0f} ms")
assert (later["split_point"] == 153).all()
assert sent.max() < 0.5 * alone.meta["until_s"]

# %% [markdown]
# One drive is one drive. In how many of ten does it end like this?

# %%
drives = [run(blind, seed=seed) for seed in range(1, 11)]
stuck = [made.decisions["split_point"].iloc[-1] == 153 for made in drives]
print(f"stuck on the Pi at the end of {sum(stuck)} of {len(drives)} drives")
assert sum(stuck) >= 5

# %% [markdown]
# ## How often to look
#
# A probe of 100 kB every so often, both ways. Looking more often means knowing more, until the probes are what fills the
# link. What counts is the distance to the oracle, which knows the bandwidth to come, decides for each request anew, sends
# no probes and pays for no change: nobody can build it, everybody can be measured by it. All meet the same ten drives.

# %%
periods = [60, 20, 5, 2, 1, 0.3]
probing = [scenario.with_({"knowledge.bandwidth.probe": f"{period} s"}) for period in periods]
oracle = scenario.with_({"technique": {"kind": "oracle"}})
looked = compare(blind, *probing, oracle, seeds=10)
names = dict(zip(looked.runs["label"].unique(), ["own transfers", *(f"probe every {period} s" for period in periods), "oracle"]))
sent = {f"probe every {period} s": 2 * 100 / period for period in periods}  # 100 kB in each direction
lost = looked.regret.assign(knows=looked.regret["label"].map(names)).set_index("knows")
table = pd.DataFrame(
    {
        "regret [ms]": (1e3 * lost["regret"]).round(1),
        "from": (1e3 * lost["low"]).round(1),
        "to": (1e3 * lost["high"]).round(1),
        "probes [kB/s]": pd.Series(sent).round(0),
    }
).reindex(names.values())
table

# %%
column = table["regret [ms]"]
assert column["probe every 5 s"] < column["probe every 60 s"], "looking more often helps"
assert column["probe every 0.3 s"] > column["probe every 5 s"], "until it costs more than it brings"
assert column.drop("oracle").idxmax() == "own transfers"
print(f"least regret: {column.drop('oracle').idxmin()}; most: {column.drop('oracle').idxmax()}")

# %% [markdown]
# Both ends of the table lose. Between them is a broad valley, in which ten drives do not tell which period is the best:

# %%
pairs = looked.differences.assign(a=looked.differences["a"].map(names), b=looked.differences["b"].map(names))
valley = [f"probe every {period} s" for period in (20, 5, 2)]
pairs = pairs[pairs["a"].isin(valley) & pairs["b"].isin(valley)]
assert (pairs["verdict"] != "clear").all()
pairs[["a", "b", "difference", "low", "high", "verdict"]]

# %% [markdown]
# ## Is it worth it?
#
# Against whom? Against staying on the Pi; against a cut that was chosen well and never changes; and against `min-latency`,
# which follows each probe at once and is charged nothing for it, so that the difference to it is what changes cost (and
# what a threshold and a timer leave undone). The oracle shows what is left to gain.

# %%
found = compare(scenario, "device-only", "fixed-split:split_point=32", "min-latency", "oracle", seeds=20)
print(found.sentence)
found.means[["label", "latency_mean_s", "latency_mean_s_low", "latency_mean_s_high", "latency_p95_s", "changes"]]

# %% [markdown]
# An interval that crosses zero means: so many drives do not tell. It does not mean that there is no difference. The next
# picture shows why intervals are wide where the fixed cut takes part: in most drives it is about as good as adapting, and in
# some it is far worse. A mean hides that; whoever needs the bad drives to be bearable looks at the dots on the left.

# %%
differences.draw(found)

# %%
gaps = 1e3 * (pd.Series(found.values("adaptive")) - pd.Series(found.values("fixed-split:split_point=32")))
print(f"adapting against the fixed cut: {gaps.mean():.0f} ms on average, {gaps.median():.0f} ms in the median drive, "
      f"{gaps.min():.0f} ms in the drive where it helps most, {gaps.max():+.0f} ms where it harms most")
assert abs(gaps.median()) < abs(gaps.mean()) / 2
assert -gaps.min() > 2 * gaps.max()

# %% [markdown]
# The same against the oracle and over time: a steep stretch is where latency is lost. Its end, divided by the requests, is
# the regret of one.

# %%
regret.draw(found)

# %% [markdown]
# ## What a change costs
#
# NEUKONFIG measured three ways to take a new cut into service: stop, load, go on (6 s); make a second pipeline in the memory
# of the first (0.6 s); keep a second one running (below 1 ms, in twice the memory). Same decisions, other bills:

# %%
bills = compare(
    scenario, "adaptive:switch=pause-resume", "adaptive:switch=hot-standby", "fixed-split:split_point=32", seeds=10
)
print(bills.sentence)
bills.means[["label", "latency_mean_s", "latency_mean_s_low", "latency_mean_s_high", "changes", "downtime_s"]]

# %%
means = bills.means.set_index("label")["latency_mean_s"]
assert means["adaptive:switch=hot-standby"] <= means["adaptive"] < means["adaptive:switch=pause-resume"]
assert means["adaptive:switch=pause-resume"] > means["fixed-split:split_point=32"]

# %% [markdown]
# With the dear way to change, this policy did worse than not adapting at all: it looks at what a change saves per request and
# not at what the change itself costs. Between the other two the difference is small, and the faster way takes the memory
# of two models.

# %% [markdown]
# ## Where in the world is that so?
#
# The map shows the best cut for other bandwidths and servers. The bar is where this drive is for nine tenths of its time:
# where it crosses a border, adapting can gain; how much a cut is worth at all is in the lower panel. Where a bar stays in
# one colour, a fixed cut is all one needs.

# %%
draw("map", scenario)

# %% [markdown]
# ## A policy of one's own
#
# A probe may have met just one good second. A patient policy changes only if it wants the same cut at two looks in a row.
# A technique is a class; `adapt` is asked every `every` seconds and answers a redeployment or None.


# %%
class Patient(Technique):
    """Change the cut only if it was the best at two looks in a row."""

    every: Seconds = 5.0
    """Time between two looks [s]."""
    _wanted: Placement | None = PrivateAttr(default=None)

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Begin with the fastest."""
        return view.fastest(view.splits())

    def adapt(self, view: View, current: Placement) -> Redeployment | None:
        """Change to what was wanted last time too."""
        wanted, before, self._wanted = view.fastest(view.splits()), self._wanted, view.fastest(view.splits())
        return Redeployment(wanted, downtime=0.6) if wanted == before != current else None


# %%
mine = compare(scenario, Patient(), "oracle", seeds=10)
print(mine.sentence)
mine.means[["label", "latency_mean_s", "changes", "downtime_s", "best_in"]]

# %%
changes = mine.means.set_index("label")["changes"]
assert changes["Patient"] < changes["adaptive"]
print(f"{changes['Patient']:.1f} changes a drive instead of {changes['adaptive']:.1f}")

# %% [markdown]
# Fewer changes are sure; whether they pay is what the sentence above says, with its interval. From the command line the same
# is `offing compare quick/adaptive_4g min-latency oracle --out DIR`: [compare techniques](../docs/how-to/compare_techniques.md).
# What a policy may know: [what a view knows](../docs/explanation/views.md). Where the bandwidth comes from:
# [synthetic bandwidth](../docs/explanation/synthetic_bandwidth.md).
