from .beforehand import ahead as ahead
from .control import CancelOnly as CancelOnly, Control as Control
from .full_collection import FullCollection as FullCollection, no_collection as no_collection
from .running import run as run
