"""Weights that a session knows, and those that a widget is asked to use."""

from pathlib import Path

from napari_xreg.session import Session, Weights


def test_weights_are_known_once_newest_last_and_wanted_by_kind():
    session, said = Session(), []
    session.weights.changed.connect(lambda: said.append(session.weights.trained))
    one = Weights("rayemb", Path("one.safetensors"), "misses by 9 mm")
    two = Weights("landmarks", Path("two.safetensors"))
    session.weights.add(one)
    session.weights.add(two)
    assert session.weights.trained == (one, two)
    assert session.weights.wanted("rayemb") is None
    better = Weights("rayemb", Path("one.safetensors"), "misses by 5 mm")
    session.weights.add(better)
    assert session.weights.trained == (two, better)
    session.weights.want(two)
    session.weights.want(Weights("rayemb", Path("elsewhere.safetensors")))
    assert session.weights.wanted("landmarks") == two
    assert session.weights.wanted("rayemb").file.name == "elsewhere.safetensors"
    assert [w.file.stem for w in session.weights.trained] == ["two", "one", "elsewhere"]
    assert len(said) == 5
    assert Session().weights.trained == ()
