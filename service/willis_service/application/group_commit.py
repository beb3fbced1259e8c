"""Group commit: what several threads bring at one moment is made durable together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(eq=False)
class _Ticket(Generic[Item, Outcome]):
    item: Item
    outcomes: list[Outcome] = field(default_factory=list)
    error: BaseException | None = None
    is_done: bool = False


@dataclass(eq=False)
class GroupCommit(Generic[Item, Outcome]):
    """Calls ``commit`` for groups of items, from the threads that bring them.

    The thread that finds nobody committing does it for all that wait; the others wait for their
    outcome. A thread that is alone commits at once, without waiting for company.
    """

    commit: Callable[[Sequence[Item]], Sequence[Outcome]]
    _waiting: list[_Ticket[Item, Outcome]] = field(default_factory=list)
    _is_committing: bool = False
    _turn: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, item: Item) -> Outcome:
        """The outcome of this item. Raises what ``commit`` raised for its group."""
        ticket: _Ticket[Item, Outcome] = _Ticket(item)
        group: list[_Ticket[Item, Outcome]] = []
        with self._turn:
            self._waiting.append(ticket)
            while self._is_committing and not ticket.is_done:
                self._turn.wait()
            if not ticket.is_done:
                self._is_committing = True
                group, self._waiting = self._waiting, group
        if group:
            self._commit(group)
        if ticket.error is not None:
            raise ticket.error
        return ticket.outcomes[0]

    def _commit(self, group: Sequence[_Ticket[Item, Outcome]]) -> None:
        try:
            outcomes = self.commit([ticket.item for ticket in group])
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.outcomes.append(outcome)
        except BaseException as error:
            for ticket in group:
                ticket.error = error
        finally:
            with self._turn:
                for ticket in group:
                    ticket.is_done = True
                self._is_committing = False
                self._turn.notify_all()
