"""What the user set in napari's Preferences."""

from pathlib import Path

import pytest
from npe2 import PluginManifest

from napari_xreg.viewer.user_preferences import Preferences, preferences

MANIFEST = Path(__file__).resolve().parents[2] / "src" / "napari_xreg" / "napari.yaml"


@pytest.fixture
def settings(plugin_settings, npe2pm):
    """The plugin's settings, isolated; napari knows no other plugin."""
    from napari.settings import get_plugin_settings

    with npe2pm.tmp_plugin(manifest=PluginManifest.from_file(MANIFEST)):
        yield get_plugin_settings("napari-xreg")


def test_what_is_set_is_what_is_read(settings):
    assert preferences() == Preferences()
    settings.preview.frames_per_second = 15
    settings.preview.pixels_at_rest = 300
    settings.preview.colormap = "cyan"
    settings.preview.device = "cpu"
    assert preferences() == Preferences(300, 15, "cyan", "cpu")


def test_what_makes_no_sense_is_refused(settings):
    with pytest.raises(ValueError, match="greater than or equal to 5"):
        settings.preview.frames_per_second = 0
    assert preferences().frames_per_second == 30


def test_every_colour_exists(settings):
    from napari.utils.colormaps import ensure_colormap

    section = PluginManifest.from_file(MANIFEST).contributions.configurations["preview"]
    for name in section.properties["colormap"].enum:
        assert ensure_colormap(name).name == name


def test_every_device_of_the_list_has_a_name_that_is_known():

    section = PluginManifest.from_file(MANIFEST).contributions.configurations["preview"]
    kinds = [name.partition(":")[0] for name in section.properties["device"].enum]
    assert set(kinds) == {"auto", "cpu", "cuda", "mps"}


def test_without_the_plugin_the_defaults_hold(plugin_settings, npe2pm):
    assert preferences() == Preferences()
