from .ahead import ahead as ahead
from .control import Control as Control
from .full_collection import FullCollection as FullCollection
from .running import run as run
