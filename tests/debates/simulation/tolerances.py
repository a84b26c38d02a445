"""How far a simulated share may lie from what theory says."""

from math import sqrt

DEVIATIONS = (
    4  # of the binomial: by chance beyond it once in 16,000; the seeds are fixed, so a test that passes stays so
)


def assert_share(hits: int, trials: int, *, expected: float) -> None:
    error = sqrt(expected * (1 - expected) / trials)
    assert abs(hits / trials - expected) <= DEVIATIONS * error, f"{hits / trials:.4f} is not {expected:.4f}"
