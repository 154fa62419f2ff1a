"""Student's t distribution: how unlikely a value is, and which value is that unlikely.

"Student" (W. S. Gosset), "The probable error of a mean", Biometrika 6(1), 1908, https://doi.org/10.2307/2331554.
"""

from functools import cache
from math import exp, isinf, lgamma, log, log1p

STEPS = 10_000
"""Of the continued fraction at most: it takes about the square root of the degrees of freedom."""
ENOUGH = 1e-15
"""The relative change at which it has converged."""
TINY = 1e-300
"""In the place of a 0 by which would be divided."""


def t_two_sided(t: float, freedom: int) -> float:
    """The probability that a t distributed value is at least as far from 0, on either side.

    P(|T| >= |t|) = I_x(freedom / 2, 1 / 2) with x = freedom / (freedom + t^2), the regularised incomplete beta
    function: NIST Digital Library of Mathematical Functions, section 8.17, https://dlmf.nist.gov/8.17.

    Args:
        t: the value; it may be infinite.
        freedom: degrees of freedom, 1 or more.

    >>> round(t_two_sided(12.706204736, 1), 9), t_two_sided(0.0, 5)
    (0.05, 1.0)
    """
    assert freedom >= 1, f"{freedom} degrees of freedom"
    ratio = t * t / freedom
    if ratio == 0:
        return 1.0
    if isinf(ratio):
        return 0.0
    a, b = freedom / 2, 0.5
    x, rest = 1 / (1 + ratio), ratio / (1 + ratio)  # each as it is: neither is what rounding leaves of 1
    powers = b * log(ratio) - (a + b) * log1p(ratio)  # of x^a rest^b
    front = exp(powers + lgamma(a + b) - lgamma(a) - lgamma(b))
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast; elsewhere that of the other tail does
        return front / a * _fraction(x, a, b)
    return 1 - front / b * _fraction(rest, b, a)


@cache
def t_quantile(probability: float, freedom: int) -> float:
    """The value that `t_two_sided` gives this probability: for an interval of 95 %, that of 0.05.

    Found by halving an interval until no number lies between its ends, since `t_two_sided` falls all the way.

    Args:
        probability: above 0 and below 1.
        freedom: degrees of freedom, 1 or more.

    >>> round(t_quantile(0.05, 2), 6)
    4.302653
    """
    assert 0 < probability < 1, f"a probability of {probability}"
    low, high = 0.0, 1.0
    while t_two_sided(high, freedom) > probability:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if t_two_sided(middle, freedom) > probability:
            low = middle
        else:
            high = middle
    return high


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction in I_x(a, b), DLMF 8.17.22, by the modified method of Lentz.

    I. J. Thompson and A. R. Barnett, "Coulomb and Bessel functions of complex arguments and order", Journal of
    Computational Physics 64(2), 1986, https://doi.org/10.1016/0021-9991(86)90046-X.
    """
    value, above, below = 1.0, 1.0, 0.0
    for step in range(1, STEPS):
        m, odd = divmod(step, 2)
        upper = -(a + m) * (a + b + m) if odd else m * (b - m)
        part = upper * x / ((a + step - 1) * (a + step))
        below = 1 / (1 + part * below or TINY)
        above = 1 + part / above or TINY
        value *= above * below
        if abs(above * below - 1) < ENOUGH:
            break
    return 1 / value
