"""The hooks of `Taps`. They are objects of this module, so that networks that carry them can be copied and pickled."""

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from potstill.taps import Taps


class Measure:
    """A hook that notes the size of the images as the network gets them."""

    def __init__(self, taps: "Taps") -> None:
        self.taps = taps

    def __call__(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before the network runs."""
        self.taps.size = tuple(_first(args, kwargs).shape[2:])


class RecordOutput:
    """A hook that records what a module returns."""

    def __init__(self, taps: "Taps", text: str) -> None:
        self.taps, self.text = taps, text

    def __call__(self, _: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor | None:
        """After the module has run; what this returns takes the output's place."""
        return self.taps.record(self.text, output)


class RecordInput:
    """A hook that records what flows into a module."""

    def __init__(self, taps: "Taps", text: str) -> None:
        self.taps, self.text = taps, text

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Before the module runs; what this returns takes the inputs' place."""
        # An in-place activation is about to overwrite its input: record a copy, which carries gradients too.
        copy = bool(getattr(module, "inplace", False))
        value = self.taps.record(self.text, _first(args, kwargs), copy)
        if value is None:
            return None
        return ((value, *args[1:]), kwargs) if args else (args, {**kwargs, next(iter(kwargs)): value})


class Uses:
    """Which modules take a recorded tensor, in the order of their calls; nothing else is kept, for want of memory."""

    def __init__(self, taps: "Taps") -> None:
        self.taps = taps
        self.calls: list[str] = []
        self.takers: dict[str, list[str]] = {}

    def safe(self, text: str) -> str | None:
        """The first module that takes the tensor and runs only once."""
        return next((path for path in self.takers.get(text, []) if self.calls.count(path) == 1), None)


class Use:
    """A hook that notes in `Uses` that its module runs."""

    def __init__(self, uses: Uses, path: str) -> None:
        self.uses, self.path = uses, path

    def __call__(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        """Before the module runs."""
        self.uses.calls.append(self.path)
        for text, value in self.uses.taps.recorded.items():
            if args and args[0] is value:
                self.uses.takers.setdefault(text, []).append(self.path)


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A module's first input, however it was given."""
    return args[0] if args else next(iter(kwargs.values()), None)
