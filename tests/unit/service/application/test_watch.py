from dataclasses import dataclass

from willis_service.application.watch import Watch


@dataclass
class Seconds:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_changes_is_new_and_what_does_not_grows_old():
    seconds = Seconds()
    watch = Watch(seconds)
    ages = []
    for state, after_s in (("a", 0), ("a", 5), ("b", 5), ("b", 2)):
        seconds.now += after_s
        ages.append(watch.unchanged_s("thing", state))

    assert ages == [0, 5, 0, 2]


def test_what_was_so_before_it_was_seen_is_believed_once():
    seconds = Seconds()
    watch = Watch(seconds)

    assert watch.unchanged_s("thing", "a", before_s=50) == 50
    seconds.now += 10
    assert watch.unchanged_s("thing", "a", before_s=3600) == 60
    assert watch.unchanged_s("thing", "b", before_s=50) == 0
    assert watch.unchanged_s("from the future", "a", before_s=-3600) == 0


def test_what_is_gone_is_forgotten():
    seconds = Seconds()
    watch = Watch(seconds)
    watch.unchanged_s("thing", "a")
    seconds.now += 10

    watch.keep(set())

    assert watch.unchanged_s("thing", "a") == 0
