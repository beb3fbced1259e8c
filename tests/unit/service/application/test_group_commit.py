from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from tests.databases import at_once
from willis_service.application.group_commit import GroupCommit


class Commits:
    """Notes the groups; the first one waits for a sign, so that others gather behind it."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go_on = threading.Event()

    def __call__(self, group: Sequence[int]) -> list[int]:
        self.groups.append(sorted(group))
        self.may_go_on.wait(10)
        if 13 in group:
            raise ArithmeticError
        return [number * 10 for number in group]


def test_one_alone_is_committed_at_once():
    commits = Commits()
    commits.may_go_on.set()

    assert GroupCommit(commits)(4) == 40
    assert commits.groups == [[4]]


def test_what_comes_during_a_commit_goes_together_into_the_next_and_gets_its_own_outcome():
    commits = Commits()
    group_commit = GroupCommit(commits)

    def bring(number: int) -> int:
        if number == 0:
            return group_commit(0)
        while not commits.groups:
            pass
        timer = threading.Timer(0.2, commits.may_go_on.set)
        timer.start()
        outcome = group_commit(number)
        timer.join()
        return outcome

    assert at_once(6, bring) == [0, 10, 20, 30, 40, 50]
    assert commits.groups == [[0], [1, 2, 3, 4, 5]]


def test_an_error_reaches_everybody_of_the_group_and_the_next_group_goes_on():
    commits = Commits()
    commits.may_go_on.set()
    group_commit = GroupCommit(commits)

    with pytest.raises(ArithmeticError):
        group_commit(13)

    assert group_commit(1) == 10
