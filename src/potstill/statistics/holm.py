"""Holm's correction: p values of several tests, raised so that few of all of them are wrong."""

from collections.abc import Sequence


def holm(probabilities: Sequence[float]) -> list[float]:
    """The p values adjusted by Holm's step-down procedure, each in its place.

    Refusing what is 0.05 or less keeps the chance of even one wrong refusal among all tests at 5 %, however they depend
    on each other. The k-th smallest of m becomes max over j <= k of min(1, (m - j + 1) p_j).

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979,
    https://www.jstor.org/stable/4615733.

    >>> holm([0.25, 0.01, 0.03125])
    [0.25, 0.03, 0.0625]
    """
    adjusted = [0.0] * len(probabilities)
    largest = 0.0
    for done, i in enumerate(sorted(range(len(probabilities)), key=lambda i: probabilities[i])):
        largest = max(largest, min(1.0, (len(probabilities) - done) * probabilities[i]))
        adjusted[i] = largest
    return adjusted
