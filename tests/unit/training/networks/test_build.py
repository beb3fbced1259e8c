"""Five architectures behind one configuration: logits, sizes, gradients, less memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from willis_training.networks.blocks import Decoder, Encoder
from willis_training.networks.build import KINDS, NetworkConfig, build_network

SMALL: dict[str, dict[str, Any]] = {
    "unet_se": {"widths": (4, 8), "patch": (8, 16, 16)},
    "monai_unet": {"widths": (4, 8), "patch": (8, 16, 16)},
    "segresnet": {"initial_filters": 8, "blocks_down": (1, 1), "patch": (8, 16, 16)},
    "swinunetr": {"feature_size": 12, "depths": (1, 1, 1, 1), "patch": (32, 32, 64)},
    "unetr": {
        "feature_size": 4,
        "hidden_size": 24,
        "token_heads": 2,
        "patch": (16, 16, 32),
    },
}


def config(kind: str, **changes: Any) -> NetworkConfig:
    return NetworkConfig.model_validate(
        {"kind": kind, "in_channels": 2, "classes": 3, **SMALL[kind], **changes}
    )


def built(wanted: NetworkConfig) -> tuple[nn.Module, torch.Tensor]:
    """A network and an input, the same ones for the same configuration."""
    torch.manual_seed(0)
    return build_network(wanted), torch.rand(1, 2, *wanted.patch)


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_gives_logits_and_uses_all_its_weights(kind: str) -> None:
    network, image = built(config(kind))

    logits = network(image)
    logits.square().mean().backward()

    assert logits.shape == (1, 3, *config(kind).patch)
    assert bool((logits < 0).any()) and bool((logits > 0).any())
    # A weight that should learn and gets no gradient would stop training on several devices.
    learning = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    assert [name for name, gradient in learning.items() if gradient is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_recomputing_features_saves_memory_and_changes_no_gradient_and_no_name(kind: str) -> None:
    found = {}
    for recomputes in (False, True):
        network, image = built(config(kind, gradient_checkpointing=recomputes))
        held = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal held
            held += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = network(image).square().mean()
        loss.backward()
        gradients = [p.grad for p in network.parameters()]
        found[recomputes] = held, gradients, list(network.state_dict())

    (plain, gradients, names), (saved, again, same_names) = found[False], found[True]
    assert saved < 0.75 * plain
    assert names == same_names
    torch.testing.assert_close(again, gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_of_another_size_than_the_levels_allow_is_refused(kind: str) -> None:
    size = config(kind).factor

    assert config(kind, patch=(size, size, 2 * size)).patch[2] == 2 * size
    with pytest.raises(ValueError, match=f"multiples of {size}"):
        config(kind, patch=(size, size, size + 1))
    with pytest.raises(ValueError, match="one voxel is left"):
        config(kind, patch=(size, size, size))


def test_the_same_seed_builds_the_same_weights() -> None:
    first, again = built(config("unet_se"))[0], built(config("unet_se"))[0]

    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_an_encoder_gives_every_level_and_a_decoder_needs_them_only_where_it_skips() -> None:
    image = torch.rand(1, 1, 8, 8, 16)
    features = Encoder(1, (4, 6, 8))(image)

    assert [tuple(f.shape[1:]) for f in features] == [(4, 8, 8, 16), (6, 4, 4, 8), (8, 2, 2, 4)]
    for skips in (True, False):
        decoder = Decoder((4, 6, 8), skips)
        without = [torch.zeros_like(f) for f in features[:-1]] + features[-1:]
        assert decoder(features).shape == (1, 4, 8, 8, 16)
        assert torch.equal(decoder(features), decoder(without)) is not skips


def test_unet_se_without_skips_has_fewer_weights() -> None:
    def count(skips: bool) -> int:
        return sum(p.numel() for p in build_network(config("unet_se", skips=skips)).parameters())

    assert count(False) < count(True)
