"""What the user set under napari's Preferences for this plugin."""

from dataclasses import dataclass

from napari.settings import get_plugin_settings

_PLUGIN = "napari-xreg"


@dataclass(frozen=True)
class Preferences:
    """The plugin's preferences; the defaults hold where napari does not know the plugin.

    Parameters
    ----------
    pixels_at_rest
        Longer side of a DRR while nothing moves, at most.
    frames_per_second
        Aimed at while a pose is dragged.
    colormap
        Of the DRR over the grey radiograph: a napari colormap.
    device
        Name of the device that renders and refines, see `rendering.choose_device`.
    autosave
        Whether unsaved work is copied by itself, to be offered again after a crash.
    """

    pixels_at_rest: int = 1024
    frames_per_second: int = 30
    colormap: str = "bop orange"
    device: str = "auto"
    autosave: bool = True


def preferences() -> Preferences:
    """As they are now."""
    try:
        settings = get_plugin_settings(_PLUGIN)
        preview = settings.preview
    except (AttributeError, KeyError):  # used from a script: not installed as a plugin
        return Preferences()
    return Preferences(
        pixels_at_rest=int(preview.pixels_at_rest),
        frames_per_second=int(preview.frames_per_second),
        colormap=str(preview.colormap),
        device=str(getattr(preview, "device", "auto")),
        autosave=bool(getattr(getattr(settings, "session", None), "autosave", True)),
    )


@dataclass(frozen=True)
class Layout:
    """How the plugin's tabs stood when a window was closed.

    Parameters
    ----------
    tabs
        Their titles.
    width
        Pixels; 0 where it is not known.
    """

    tabs: tuple[str, ...] = ("Data", "Pose", "Refine", "3D view")
    width: int = 0


def remembered_layout() -> Layout:
    """As the last window was left; as it comes where napari does not know the plugin."""
    try:
        kept = get_plugin_settings(_PLUGIN).window
    except (AttributeError, KeyError):
        return Layout()
    tabs = tuple(title for part in str(kept.tabs).split(",") if (title := part.strip()))
    return Layout(tabs or Layout().tabs, int(kept.width))


def remember_layout(layout: Layout) -> None:
    """For the next window; nothing where napari does not know the plugin or cannot write."""
    try:
        kept = get_plugin_settings(_PLUGIN).window
        kept.tabs, kept.width = ", ".join(layout.tabs), layout.width
    except (AttributeError, KeyError, OSError, ValueError):
        return  # a full disk, settings that may not be written, a value napari refuses
