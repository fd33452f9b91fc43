"""The last few of a sequence: what is there at every step, and after a resume."""

from napari_xreg.training import Recent


def squares() -> tuple[Recent[int], list[int]]:
    asked: list[int] = []

    def make(number: int) -> int:
        asked.append(number)
        return number * number

    return Recent(make, first=3, renew_every=4, kept=5), asked


def test_items_come_in_at_the_first_step_and_every_few_after_it():
    recent, asked = squares()
    seen = [list(recent.step()) for _ in range(13)]
    assert seen[0] == seen[3] == [0, 1, 4]
    assert seen[4] == [0, 1, 4, 9]
    assert seen[8] == [0, 1, 4, 9, 16]
    # A sixth: the oldest goes.
    assert seen[12] == [1, 4, 9, 16, 25]
    assert asked == list(range(6))


def test_a_resumed_one_has_what_the_interrupted_one_had():
    one, _ = squares()
    for _ in range(22):
        one.step()
    other, asked = squares()
    other.restore(one.state())
    assert asked == [3, 4, 5, 6, 7]
    for _ in range(6):
        assert other.step() == one.step()
    assert other.state() == one.state()
