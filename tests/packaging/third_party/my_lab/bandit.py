"""SplitBandit: learn the best split from what requests took (epsilon-greedy), knowing nothing else."""

from pydantic import PrivateAttr

from simulator import Placement, Request, Technique, View


class SplitBandit(Technique):
    """Try a split now and then, keep to the one that has been fastest."""

    explore: float = 0.1
    """Share of requests that try any split."""

    asks = "request"
    _mean: dict[str, tuple[int, float]] = PrivateAttr(default_factory=dict)

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Explore, or take the fastest so far."""
        options = {str(option): option for option in view.splits(request)}
        tried = {label: mean for label, (_, mean) in self._mean.items() if label in options}
        if not tried or self._rng.random() < self.explore:
            return list(options.values())[self._rng.integers(len(options))]
        return options[min(tried, key=lambda label: tried[label])]

    def learn(self, outcome) -> None:
        """Average what a placement has taken [s]."""
        n, mean = self._mean.get(outcome.placement, (0, 0.0))
        self._mean[outcome.placement] = (n + 1, mean + (outcome.latency_s - mean) / (n + 1))
