"""Where templates stand: about what a network learned."""

from napari_xreg.rayemb import TEMPLATE_POSES, learned_template_poses, templates_around
from napari_xreg.training import PoseRange


def test_templates_stand_a_little_beyond_what_was_learned():
    lateral = PoseRange((60.0, 100.0), (-4.0, 6.0), (2.0, 8.0), 30.0)
    assert templates_around(lateral) == PoseRange((55.0, 105.0), (-8.5, 10.5), (5.0, 5.0), 12.0)
    # The default is what the weights that come with the package were trained with.
    assert PoseRange((-50.0, 50.0), (-27.0, 27.0), (0.0, 0.0), 20.0) == TEMPLATE_POSES


def test_weights_say_where_their_templates_stand():
    about = {
        "request": {
            "primary_deg": [60.0, 100.0], "secondary_deg": [-4.0, 6.0], "roll_deg": [2.0, 8.0],
            "offset_mm": 30.0,
        }
    }  # fmt: skip
    assert learned_template_poses(about) == PoseRange((55.0, 105.0), (-8.5, 10.5), (5.0, 5.0), 12.0)
    assert learned_template_poses({"trained_on": "a CT"}) == TEMPLATE_POSES
