"""A graph on a CPU: what a step calls is recorded, and called again on the same tensors, without the step's Python.

As with a CUDA graph, whatever the step decides in Python is decided once.
"""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        self.calls.append((operation, args, kwargs or {}, result))
        return result

    def replay(self):
        with torch._C._AutoDispatchBelowAutograd():  # where the calls were recorded
            self._again()

    def _again(self):
        for operation, args, kwargs, result in self.calls:
            given = {memory(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
            again = operation(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and memory(old) not in given:  # else changed in place, or a view
                    old.copy_(new)


class TapeCapturer:
    """What `CudaCapturer` does, on a CPU; ``forgets`` names an operation that it fails to record."""

    def __init__(self, forgets=""):
        self.captured, self.forgets = 0, forgets

    def ordinary(self, work):
        return work()

    def capture(self, work):
        self.captured += 1
        with Tape() as tape:
            values = work()
        tape.calls = [call for call in tape.calls if not self.forgets or self.forgets not in str(call[0])]

        def replay():
            tape.replay()
            return values

        return replay


def memory(value):
    return value.untyped_storage().data_ptr()
