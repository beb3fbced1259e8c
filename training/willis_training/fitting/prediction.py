"""The network on a whole image, window by window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def predict(
    network: nn.Module,
    image: NDArray[np.float32],
    patch: Sequence[int],
    overlap: float = 0.25,
    precision: str = "float32",
) -> NDArray[np.float32]:
    """Class probabilities (classes, z, y, x) for a prepared image (c, z, y, x) of any size.

    ``network`` gives logits. Windows of ``patch`` voxels overlap by that share of their side, and
    their logits are blended with a Gaussian (MONAI's sliding window). Runs where the network lies.
    """
    from monai.inferers.utils import sliding_window_inference

    where = next(network.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(where)
    was_training = network.training
    network.eval()
    with (
        torch.inference_mode(),
        torch.autocast(where.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        logits = sliding_window_inference(
            batch, tuple(patch), 1, network, overlap=overlap, mode="gaussian"
        )
    network.train(was_training)
    probabilities: NDArray[np.float32] = logits[0].float().softmax(dim=0).cpu().numpy()
    return probabilities
