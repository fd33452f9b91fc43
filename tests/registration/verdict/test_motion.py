"""How far patches would slide and how far they drift: by hand for patches on a grid."""

import math

import numpy as np
import pytest

from napari_xreg.registration.verdict.motion import common_motion
from napari_xreg.registration.verdict.patches import INDEPENDENT, REACH, Patches

COUNT = 30


def patches(
    bend: np.ndarray, best: float = 0.8, moved: np.ndarray | None = None, share: float = 1.0
) -> Patches:
    """On an oblong grid of 5 x 6, all located alike."""
    rows, columns = np.divmod(np.arange(COUNT), 6)
    values = np.full(COUNT, best)
    aside = np.zeros((COUNT, 16))
    return Patches(
        values, values, np.zeros(COUNT), aside, aside,
        middle=np.stack([12.0 * rows, 12.0 * columns], 1),
        moved=np.zeros((COUNT, 2)) if moved is None else moved,
        bend=np.broadcast_to(bend, (COUNT, 2, 2)),
        share=np.full(COUNT, share),
    )  # fmt: skip


ALL = np.ones(COUNT, bool)


def slack_of(given: Patches, says: np.ndarray) -> float:
    return common_motion(given, says).slack


def test_patches_that_agree_locate_as_so_many_measurements_do():
    # Of each the inverse variance is bend n rho^2 / (1 - rho^2), here along rows the smaller one; the
    # prior of a picture that may lie anywhere within reach is added.
    one = INDEPENDENT * 0.64 / 0.36
    expected = 1.0 / math.sqrt(COUNT * 0.01 * one + 1.0 / REACH**2)
    assert slack_of(patches(np.diag([0.01, 0.05])), ALL) == pytest.approx(expected, rel=1e-6)


def test_a_shaft_slides_along_its_own_direction_whichever_that_is():
    turn = math.radians(25.0)
    along = np.array([math.cos(turn), math.sin(turn)])
    across = np.eye(2) - np.outer(along, along)
    shaft = slack_of(patches(0.05 * across), ALL)
    # Turning and scaling a long grid moves its patches across the shaft too: the prior alone holds.
    assert 0.9 * REACH < shaft <= REACH * (1 + 1e-9)
    assert slack_of(patches(0.05 * across + 0.001 * np.outer(along, along)), ALL) < 1.0


def test_less_that_is_seen_locates_less():
    clear = slack_of(patches(np.diag([0.02, 0.02])), ALL)
    assert slack_of(patches(np.diag([0.02, 0.02]), best=0.65), ALL) > 1.4 * clear
    assert slack_of(patches(np.diag([0.02, 0.02]), share=0.5), ALL) == pytest.approx(
        math.sqrt(2.0) * clear, rel=0.01
    )
    half = ALL.copy()
    half[::2] = False
    assert slack_of(patches(np.diag([0.02, 0.02])), half) > 1.35 * clear


def test_patches_that_contradict_each_other_locate_little():
    kept = slack_of(patches(np.diag([0.02, 0.02])), ALL)
    apart = np.random.default_rng(4).uniform(-8, 8, (COUNT, 2)).round()
    assert slack_of(patches(np.diag([0.02, 0.02]), moved=apart), ALL) > 2.0 * kept


def test_a_common_motion_is_no_contradiction():
    kept = slack_of(patches(np.diag([0.02, 0.02])), ALL)
    together = np.broadcast_to([3.0, -2.0], (COUNT, 2))
    # The prior pulls back a little.
    assert slack_of(patches(np.diag([0.02, 0.02]), moved=together), ALL) == pytest.approx(
        kept, rel=0.02
    )


@pytest.mark.parametrize("motion", [[[0.0, -0.1], [0.1, 0.0]], [[0.1, 0.0], [0.0, 0.1]]])
def test_nor_are_a_turn_and_a_scale_of_the_picture(motion):
    bend = np.diag([0.02, 0.02])
    kept = patches(bend)
    beside = kept.middle - kept.middle.mean(0)
    found = slack_of(patches(bend, moved=beside @ np.array(motion).T), ALL)
    assert found == pytest.approx(slack_of(kept, ALL), rel=0.05)


def test_nothing_convincing_leaves_everything_within_reach():
    nothing = common_motion(patches(np.eye(2)), ~ALL)
    assert nothing.slack == pytest.approx(REACH)
    assert nothing.drift == 0.0


SHARP = np.diag([0.5, 0.4])
"""So sharply located that the prior (nowhere in particular) pulls back by less than a thousandth."""


def test_what_all_agree_on_is_the_drift():
    together = np.broadcast_to([3.0, -2.0], (COUNT, 2))
    found = common_motion(patches(SHARP, moved=together), ALL)
    assert found.drift == pytest.approx(math.hypot(3.0, 2.0), rel=1e-3)


def test_of_a_turn_the_drift_is_how_far_it_takes_the_patches():
    # On a grid of 5 x 6 patches 12 pixels apart the mean square of the distance from its middle
    # is 144 (2 + 35 / 12): a turn by 0.05 takes them 0.05 times its root.
    kept = patches(SHARP)
    beside = kept.middle - kept.middle.mean(0)
    turned = patches(SHARP, moved=beside @ np.array([[0.0, -0.05], [0.05, 0.0]]).T)
    expected = 0.05 * 12.0 * math.sqrt(2.0 + 35.0 / 12.0)
    assert common_motion(turned, ALL).drift == pytest.approx(expected, rel=1e-2)


def test_pieces_that_fit_best_this_way_and_that_do_not_drift():
    beside = np.random.default_rng(5).integers(-1, 2, (COUNT // 2, 2)).astype(float)
    scattered = patches(SHARP, moved=np.concatenate([beside, -beside[::-1]]))
    assert common_motion(scattered, ALL).drift < 0.4


def test_a_few_that_fit_elsewhere_take_nothing_along():
    moved = np.zeros((COUNT, 2))
    moved[:6] = [7.0, -8.0]
    assert common_motion(patches(SHARP, moved=moved), ALL).drift < 0.05
