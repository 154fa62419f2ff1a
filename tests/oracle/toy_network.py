"""The small network of the cases that need one, as ``settings.toy`` describes it."""

from torch import Tensor, nn

from oracle.computed import Inputs


class Toy(nn.Module):
    """Three tanh convolutions, the second of stride 2, global mean, classifier; ``maps`` is the second's output."""

    def __init__(self, state: Inputs) -> None:
        super().__init__()
        (a, channels), b = state["conv1.weight"].shape[:2], len(state["conv2.weight"])
        self.conv1 = nn.Conv2d(channels, a, 3, padding=1)
        self.conv2 = nn.Conv2d(a, b, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(b, b, 3, padding=1)
        self.fc = nn.Linear(b, len(state["fc.weight"]))
        self.to(state["fc.weight"].dtype).load_state_dict(state)

    def forward(self, images: Tensor) -> Tensor:
        self.maps = self.conv2(self.conv1(images).tanh()).tanh()
        return self.fc(self.conv3(self.maps).tanh().mean(dim=(2, 3)))


def toys(state: Inputs) -> nn.ModuleDict:
    """``student`` and ``teacher``; the teacher is not frozen, so that a gradient that reaches it shows."""
    names = ("student", "teacher")
    return nn.ModuleDict(
        {n: Toy({k.removeprefix(f"{n}."): v for k, v in state.items() if k.startswith(f"{n}.")}) for n in names}
    )
