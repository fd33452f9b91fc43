from .control import Control as Control
from .running import run as run
