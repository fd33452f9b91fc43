"""Weights that a session knows, and those that a widget is asked to use."""

from pathlib import Path

from napari_xreg.session import Session, Weights


def test_weights_are_known_once_newest_last_and_wanted_by_kind():
    session, said = Session(), []
    session.trained_changed.connect(lambda: said.append(session.trained))
    one = Weights("rayemb", Path("one.safetensors"), "misses by 9 mm")
    two = Weights("landmarks", Path("two.safetensors"))
    session.add_trained(one)
    session.add_trained(two)
    assert session.trained == (one, two)
    assert session.wanted("rayemb") is None
    better = Weights("rayemb", Path("one.safetensors"), "misses by 5 mm")
    session.add_trained(better)
    assert session.trained == (two, better)
    session.want(two)
    session.want(Weights("rayemb", Path("elsewhere.safetensors")))
    assert session.wanted("landmarks") is two
    assert session.wanted("rayemb").file.name == "elsewhere.safetensors"
    assert [w.file.stem for w in session.trained] == ["two", "one", "elsewhere"]
    assert len(said) == 5
    assert Session().trained == ()
