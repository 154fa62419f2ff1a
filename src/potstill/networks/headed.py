"""A backbone of Hugging Face's `transformers` as a classifier."""

import torch
from torch import Tensor, nn


class Headed(nn.Module):
    """A backbone with a linear classifier on its pooled features.

    These are its ``pooler_output``, or where it has none the mean of its last hidden state over tokens or pixels.

    Args:
        backbone: a model of `transformers` that takes images (N, C, H, W).
        classes: how many logits there are.
    """

    def __init__(self, backbone: nn.Module, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Linear(self._width(), classes)

    def _width(self) -> int:
        """The number of pooled features: that of an image, since no two configurations say it alike."""
        config = self.backbone.config
        side = getattr(config, "image_size", None) or 224
        height, width = side if isinstance(side, (list, tuple)) else (side, side)
        training = self.backbone.training
        self.backbone.eval()
        with torch.no_grad():
            features = self.pool(torch.zeros(1, getattr(config, "num_channels", 3), height, width))
        self.backbone.train(training)
        return int(features.shape[1])

    def pool(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, D)."""
        output = self.backbone(images)
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            hidden = output.last_hidden_state
            pooled = hidden.mean(1) if hidden.dim() == 3 else hidden.mean((2, 3))
        features: Tensor = pooled.flatten(1)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        logits: Tensor = self.classifier(self.pool(images))
        return logits
