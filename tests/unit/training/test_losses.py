"""The training loss against its formula written out."""

from __future__ import annotations

import pytest
import torch

from willis_training.losses import SMOOTH, LossConfig, build_loss, dice_ce, soft_dice


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


LOSSES = ("dice", "ce", "dice_ce", "present_dice_ce", "tversky", "bce", "generalised_dice")


def example(classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, classes, 4, 5, 6, generator=generator)
    return logits, torch.randint(0, classes, (2, 4, 5, 6), generator=generator)


def value(name: str, logits: torch.Tensor, labels: torch.Tensor, **settings: object) -> float:
    config = LossConfig.model_validate({"name": name, **settings})
    return float(build_loss(config, logits.shape[1])(logits, labels))


def soft_overlap(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """True positives, false positives and false negatives (sample, class), all soft."""
    probabilities = logits.softmax(dim=1).flatten(2)
    truth = torch.nn.functional.one_hot(labels, logits.shape[1]).movedim(-1, 1).flatten(2).float()
    hit = (probabilities * truth).sum(-1)
    return hit, probabilities.sum(-1) - hit, truth.sum(-1) - hit


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_least_for_the_right_answer_and_pulls_towards_it(name: str) -> None:
    logits, labels = example()
    right = 50.0 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float() - 25.0
    logits.requires_grad_()

    loss = build_loss(LossConfig(name=name), 4)(logits, labels)
    loss.backward()

    assert value(name, right, labels) == pytest.approx(0.0, abs=1e-3)
    assert float(loss.detach()) > 0.1
    better = logits.detach() - 10.0 * logits.grad
    assert value(name, better, labels) < float(loss.detach())


def test_dice_and_tversky_are_their_formulas() -> None:
    logits, labels = example()
    hit, false_positive, false_negative = (part[:, 1:] for part in soft_overlap(logits, labels))

    dice = 1 - (2 * hit / (2 * hit + false_positive + false_negative)).mean()
    tversky = 1 - (hit / (hit + 0.7 * false_positive + 0.3 * false_negative)).mean()

    assert value("dice", logits, labels) == pytest.approx(float(dice), abs=1e-4)
    found = value("tversky", logits, labels, alpha=0.7, beta=0.3)
    assert found == pytest.approx(float(tversky), abs=1e-4)


def test_generalised_dice_weighs_classes_by_their_volume_squared() -> None:
    logits, labels = example()
    hit, false_positive, false_negative = (part[:, 1:] for part in soft_overlap(logits, labels))
    weight = 1.0 / (hit + false_negative) ** 2

    both = 2 * hit + false_positive + false_negative
    expected = 1 - (2 * (weight * hit).sum(1) / (weight * both).sum(1)).mean()

    assert value("generalised_dice", logits, labels) == pytest.approx(float(expected), abs=1e-4)


def test_the_parts_of_dice_ce_add_up_by_their_weights() -> None:
    logits, labels = example()
    dice, cross_entropy = value("dice", logits, labels), value("ce", logits, labels)

    found = value("dice_ce", logits, labels, dice_weight=2.0, ce_weight=0.5)

    assert found == pytest.approx(2.0 * dice + 0.5 * cross_entropy, abs=1e-5)


@pytest.mark.parametrize("name", ["ce", "present_dice_ce", "dice_ce", "bce", "dice"])
def test_a_class_weight_makes_that_classs_mistakes_count_more(name: str) -> None:
    labels = torch.randint(0, 3, (1, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    logits = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float() * 4.0
    missed = labels == 2
    logits[:, 0][missed], logits[:, 2][missed] = 4.0, 0.0

    plain = value(name, logits, labels, class_weights=(1, 1, 1))
    weighted = value(name, logits, labels, class_weights=(1, 1, 5))

    assert weighted > 1.2 * plain


def test_weights_for_another_number_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 weights for 3 classes"):
        build_loss(LossConfig(name="ce", class_weights=(1.0, 2.0)), 3)


def test_a_patch_without_foreground_still_teaches_that_there_is_none() -> None:
    logits, labels = torch.zeros(1, 3, 2, 2, 2), torch.zeros(1, 2, 2, 2, dtype=torch.long)

    assert value("present_dice_ce", logits, labels) == pytest.approx(float(torch.tensor(3.0).log()))
