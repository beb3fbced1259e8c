"""The training loss against its formula written out."""

from __future__ import annotations

import pytest
import torch

from willis_training.losses import SMOOTH, dice_ce, soft_dice


def plain(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Cross-entropy plus one minus the mean Dice of the foreground classes present."""
    probabilities = logits.softmax(dim=1)
    truth = torch.nn.functional.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()
    cross_entropy = -(truth * probabilities.log()).sum(dim=1).mean()
    scores = []
    for n in range(1, logits.shape[1]):
        if truth[:, n].any():
            overlap = (probabilities[:, n] * truth[:, n]).sum()
            total = probabilities[:, n].sum() + truth[:, n].sum()
            scores.append((2 * overlap + SMOOTH) / (total + SMOOTH))
    return float(cross_entropy + 1 - torch.stack(scores).mean())


@pytest.mark.parametrize("channels_last", [False, True])
def test_dice_ce_is_its_formula(channels_last: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 4, 6, 3, generator=generator)
    labels = torch.randint(0, 4, (2, 4, 6, 3), generator=generator)
    if channels_last:
        logits = logits.contiguous(memory_format=torch.channels_last_3d)

    assert float(dice_ce(logits, labels)) == pytest.approx(plain(logits, labels), abs=1e-5)


def test_a_sure_and_right_answer_costs_nothing() -> None:
    labels = torch.tensor([[[[0, 1], [2, 2]]]])
    logits = 50.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()

    assert float(dice_ce(logits, labels)) == pytest.approx(0.0, abs=1e-4)


def test_a_class_that_the_truth_does_not_hold_does_not_count_in_dice() -> None:
    truth = torch.tensor([0, 1, 1, 0])
    probabilities = torch.eye(3)[truth]

    assert float(soft_dice(probabilities, truth)) == pytest.approx(0.0, abs=1e-5)


def test_the_loss_pulls_towards_the_truth() -> None:
    logits = torch.zeros(1, 3, 2, 2, 2, requires_grad=True)
    labels = torch.ones(1, 2, 2, 2, dtype=torch.long)

    dice_ce(logits, labels).backward()

    assert (logits.grad[:, 1] < 0).all()
    assert (logits.grad[:, [0, 2]] > 0).all()
