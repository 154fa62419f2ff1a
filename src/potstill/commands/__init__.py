"""The commands that are no recipes. Each is a function whose arguments are its flags and whose result is printed."""

from potstill.commands.check import check
from potstill.commands.compare import compare
from potstill.commands.demo import demo
from potstill.commands.describe import describe
from potstill.commands.evaluate import evaluate
from potstill.commands.export import export
from potstill.commands.list_kind import list_kind
from potstill.commands.predict import predict
from potstill.commands.push import push
from potstill.commands.report import report
from potstill.commands.table import table
from potstill.commands.verify import verify

__all__ = [
    "check",
    "compare",
    "demo",
    "describe",
    "evaluate",
    "export",
    "list_kind",
    "predict",
    "push",
    "report",
    "table",
    "verify",
]
