"""Whether a method helps: differences paired by seed, their intervals, and verdicts on several methods at once.

Takes neither torch nor numpy nor scipy: a table that is there answers at once.
"""

from potstill.statistics.holm import holm
from potstill.statistics.paired import LEVEL, Paired
from potstill.statistics.student_t import t_quantile, t_two_sided
from potstill.statistics.verdict import Judged, Verdict, judge

__all__ = ["LEVEL", "Judged", "Paired", "Verdict", "holm", "judge", "t_quantile", "t_two_sided"]
