"""Networks as users write them: each is one member of a kind that once failed."""

import sys
import warnings
from collections import namedtuple
from dataclasses import dataclass
from threading import Thread

import torch
import torch.nn.functional as F
from torch import nn

Heads = namedtuple("Heads", "logits aux")


@dataclass
class Output:
    loss: object
    logits: torch.Tensor


class Base(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.late = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, classes)

    def logits(self, x):
        return self.fc(self.late(self.early(x)).mean((2, 3)))

    def forward(self, x):
        return self.logits(x)


def giving(answer):
    """A network that makes ``answer`` of its logits and images."""
    return type("Giving", (Base,), {"forward": lambda self, x: answer(self.logits(x), x)})


class Dictionary(Base):
    def forward(self, x):
        return {"output": {"logits": self.logits(x), "features": x}}


class Pair(Base):
    def forward(self, x):
        z = self.logits(x)
        return Heads(z, z * 2)


class PairInTraining(Base):
    def forward(self, x):
        z = self.logits(x)
        return (z, z * 2) if self.training else z


class View(Base):
    def forward(self, x):
        return self.fc(self.late(self.early(x)).view(len(x), -1).view(len(x), 8, -1).mean(2))


class ViewInTraining(View):
    def forward(self, x):
        return View.forward(self, x) if self.training else self.logits(x)


class Flat(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return (gradient.view(gradient.numel()) * 2).view(ctx.shape)


class ViewInBackward(Base):
    def forward(self, x):
        return self.fc(self.late(Flat.apply(self.early(x))).mean((2, 3)))


class InPlace(Base):
    def forward(self, x):
        x *= 0.5
        return self.logits(x)


class TrainGivesNothing(Base):
    def train(self, mode=True):
        nn.Module.train(self, mode)


class InThread(Base):
    def forward(self, x):
        found = []
        thread = Thread(target=lambda: found.append(self.logits(x)))
        thread.start()
        thread.join()
        return found[0]


class Loud(Base):
    def forward(self, x):
        print("hello")
        return self.logits(x)


class Lazy(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv, self.fc = nn.LazyConv2d(8, 3), nn.LazyLinear(classes)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


class Normed(Base):
    def __init__(self, classes=10):
        super().__init__(classes)
        nn.utils.spectral_norm(self.early[0])
        nn.utils.parametrizations.weight_norm(self.late[0])
        nn.utils.parametrizations.spectral_norm(self.fc)


class Frozen(Base):
    def __init__(self, classes=10):
        super().__init__(classes)
        self.requires_grad_(False)


class Keywords(Base):
    def forward(self, *, pixel_values):
        return self.logits(pixel_values)


class TwoInputs(Base):
    def forward(self, x, mask):
        return self.logits(x) * mask


class OnlyInTraining(Base):
    def forward(self, x):
        if not self.training:
            raise RuntimeError("not in eval")
        return self.logits(x)


class Endless(Base):
    def forward(self, x):
        return self.forward(x)


class Exits(Base):
    def forward(self, x):
        sys.exit(0)


class Größe(Base):
    def forward(self, x):
        raise ValueError("Größe\nand much more")


class Missing(Base):
    def forward(self, x):
        return {}["weights"]


class FourChannels(nn.Sequential):
    def __init__(self, classes=10):
        super().__init__(nn.Conv2d(4, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))


class Deep(nn.Sequential):
    def __init__(self, classes=10):
        blocks = [nn.Sequential(nn.Conv2d(3 if not i else 8, 8, 3, padding=1), nn.MaxPool2d(2)) for i in range(5)]
        super().__init__(*blocks, nn.Flatten(), nn.Linear(8, classes))


class Warns(Base):
    def forward(self, x):
        warnings.warn("careful", stacklevel=1)
        return self.logits(x)


Nothing = giving(lambda z, x: None)
Array = giving(lambda z, x: z.detach().numpy())
Wide = giving(lambda z, x: z[:, :, None, None])
Transposed = giving(lambda z, x: z.t())
Complex = giving(lambda z, x: z.to(torch.complex64))
Whole = giving(lambda z, x: z.long())
Double = giving(lambda z, x: z.double())
Listed = giving(lambda z, x: [None, [z, x]])
Dataclass = giving(lambda z, x: Output(None, z))
Probable = giving(lambda z, x: z.softmax(1))
LogProbable = giving(lambda z, x: z.log_softmax(1))
Bounded = giving(lambda z, x: z.sigmoid())
Dropping = giving(lambda z, x: F.dropout(z, 0.5))
Noisy = giving(lambda z, x: z + 0.1 * torch.randn_like(z))
Constant = giving(lambda z, x: z * 0 + torch.arange(z.shape[1]))
Undefined = giving(lambda z, x: z * float("nan"))
Huge = giving(lambda z, x: z * 1e28)
Large = giving(lambda z, x: z * 1e11)


def fails(classes=10):
    raise KeyError("weights")


def leaves(classes=10):
    sys.exit(0)


def of_two(first, second):
    return Base()


def a_class(classes=10):
    return Base


def nothing(classes=10):
    return None


def several(classes=10):
    return [Base()]


def without_weights(classes=10):
    with torch.device("meta"):
        return Base(classes)


ready = Base()
