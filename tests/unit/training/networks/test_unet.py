"""The region network: its blocks, its shapes, and that it treats both hemispheres alike."""

from __future__ import annotations

import pytest
import torch

from willis_training.networks.blocks import DecoderStage, ResidualBlock, SqueezeExcite
from willis_training.networks.unet import BothSides, RegionUNet, UNetShape, left_half

SHAPE = UNetShape(in_channels=1, classes=11, widths=(4, 8, 16))


@pytest.fixture(scope="module")
def network() -> BothSides:
    torch.manual_seed(0)
    return BothSides(RegionUNet(SHAPE)).eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 1, 8, 12, 32, generator=torch.Generator().manual_seed(1))


def mirrored_classes(output: torch.Tensor) -> torch.Tensor:
    """The output of the mirrored head: flipped, left and right regions exchanged."""
    exchange = [0, *range(11, 21), *range(1, 11)]
    return output[:, exchange].flip(-1)


def test_a_mirrored_head_gets_exactly_the_mirrored_answer(
    network: BothSides, image: torch.Tensor
) -> None:
    with torch.no_grad():
        straight, mirrored = network(image), network(image.flip(-1))

    assert torch.equal(mirrored, mirrored_classes(straight))


def test_the_output_is_a_probability_of_twenty_one_classes(
    network: BothSides, image: torch.Tensor
) -> None:
    with torch.no_grad():
        output = network(image)

    assert output.shape == (1, 21, 8, 12, 32)
    torch.testing.assert_close(output.sum(dim=1), torch.ones(1, 8, 12, 32))


def test_a_region_is_never_given_to_the_other_side(network: BothSides, image: torch.Tensor) -> None:
    with torch.no_grad():
        output = network(image)

    assert not output[:, 1:11, ..., :16].any()
    assert not output[:, 11:21, ..., 16:].any()
    assert output[:, 1:11, ..., 16:].all()


def test_training_shows_the_network_the_same_half_as_inference(image: torch.Tensor) -> None:
    seen: list[torch.Tensor] = []

    class Recorder(RegionUNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return super().forward(x)

    BothSides(Recorder(SHAPE)).eval()(image)

    assert torch.equal(seen[0], left_half(image))
    assert torch.equal(seen[1], left_half(image.flip(-1)))


def test_the_u_net_keeps_the_shape_of_its_input() -> None:
    output = RegionUNet(SHAPE)(torch.rand(2, 1, 8, 4, 12))

    assert output.shape == (2, 11, 8, 4, 12)
    assert SHAPE.factor == 4


def test_the_u_net_has_a_stage_for_each_width_made_of_residual_blocks() -> None:
    network = RegionUNet(SHAPE)

    assert [type(stage) for stage in network.encoder] == [ResidualBlock] * 3
    assert [type(stage) for stage in network.decoder] == [DecoderStage] * 2
    assert sum(isinstance(module, SqueezeExcite) for module in network.modules()) == 5


def test_squeeze_excite_scales_each_channel_by_one_gate_between_zero_and_one() -> None:
    torch.manual_seed(0)
    block, x = SqueezeExcite(6), torch.rand(1, 6, 3, 4, 5) + 0.1

    gate = block(x) / x

    assert gate.shape == x.shape
    torch.testing.assert_close(gate, gate.mean(dim=(2, 3, 4), keepdim=True).expand_as(gate))
    assert ((gate > 0) & (gate < 1)).all()


@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_block_whose_body_is_silent_passes_its_skip(stride: int) -> None:
    block = ResidualBlock(4, 4, stride)
    for parameter in block.body.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(1, 4, 4, 4, 4)

    out = block(x)

    expected = torch.nn.functional.leaky_relu(block.skip(x), 0.01)
    torch.testing.assert_close(out, expected)
    assert out.shape[-1] == 4 // stride


def test_a_decoder_stage_doubles_the_grid_and_joins_the_skip() -> None:
    stage = DecoderStage(8, 4)

    assert stage(torch.rand(1, 8, 2, 3, 4), torch.rand(1, 4, 4, 6, 8)).shape == (1, 4, 4, 6, 8)
