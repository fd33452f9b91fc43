"""One scale: the same word and colour at the same probability, whatever found the pose."""

import pytest

from napari_xreg.registration import COLORS, TRUSTED, Likelihood


@pytest.mark.parametrize(
    ("probability", "doubted", "trusted", "words", "short"),
    [
        (0.95, False, True, "Trusted: 95 % likely to lie within 2.5 mm", "trusted, 95 %"),
        (0.9, False, True, "Trusted: 90 % likely to lie within 2.5 mm", "trusted, 90 %"),
        (0.86, False, False, "Not trusted: 86 % likely to lie within 2.5 mm", "not trusted, 86 %"),
        (0.999, True, False, "Look again: more than 99 % likely to lie within 2.5 mm", "look again, > 99 %"),
        (0.001, False, False, "Not trusted: less than 1 % likely to lie within 2.5 mm", "not trusted, < 1 %"),
        (None, False, None, "Not judged", "not judged"),
        (None, True, False, "Not trusted", "not trusted"),
    ],
)  # fmt: skip
def test_word_and_words(probability, doubted, trusted, words, short):
    found = Likelihood(probability, 2.5, doubted=doubted)
    assert found.trusted is trusted
    assert found.words == words
    assert found.short == short
    assert found.color == ("#c98a00" if words.startswith("Look") else COLORS[trusted])


def test_how_the_distance_is_meant_is_said():
    found = Likelihood(0.93, 2.0, "as seen in this radiograph")
    assert found.words.endswith("93 % likely to lie within 2 mm as seen in this radiograph")


def test_every_pose_has_the_same_threshold():
    from napari_xreg.landmarks import DetectionTrust
    from napari_xreg.registration.verdict.evidence import Evidence
    from napari_xreg.registration.verdict.verdict import Verdict

    assert Verdict(TRUSTED + 1e-6, Evidence(1.0, 1.0, 1.0, 50, 0.04, 0.1)).trusted
    assert not Verdict(TRUSTED - 1e-6, Evidence(1.0, 1.0, 1.0, 50, 0.04, 0.1)).trusted
    # A spread just up to the threshold of a detector is just trusted.
    assert DetectionTrust(2.999, 3.0, 9, "").likelihood.probability == pytest.approx(
        TRUSTED, abs=1e-3
    )
    assert DetectionTrust(2.999, 3.0, 9, "").trusted
    assert not DetectionTrust(3.001, 3.0, 9, "").trusted
