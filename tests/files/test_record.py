"""Models of files that refuse unknown names: which ones can stand in that place is said where it is certain."""

import pytest
from pydantic import ConfigDict, Field

from napari_xreg.files import ReadError, Record, Text


class Strict(Record):
    model_config = ConfigDict(extra="forbid")


class Bone(Strict):
    side: Text = ""


class Screw(Strict):
    length: float = 0.0


class Whole(Strict):
    bone: Bone = Bone()
    bones: tuple[Bone, ...] = ()
    by_name: dict[str, Bone] = Field(default_factory=dict)
    either: Bone | Screw = Bone()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"bnoe": 1}, "unknown name 'bnoe'; the known ones are bone, bones, by_name, either"),
        ({"bone": {"sdie": "l"}}, "unknown name 'bone.sdie'; the known ones are side"),
        ({"bones": [{}, {"sdie": "l"}]}, "unknown name 'bones[1].sdie'; the known ones are side"),
        ({"by_name": {"femur": {"sdie": "l"}}}, "unknown name 'by_name.femur.sdie'"),
        ({"either": {"lenght": 3}}, "unknown name 'either.Bone.lenght'"),
    ],
)
def test_the_names_that_can_stand_there_are_said_where_that_is_certain(said, sentence):
    with pytest.raises(ReadError) as error:
        Whole.of(said, "w")
    assert str(error.value) == f"w: {sentence}"
