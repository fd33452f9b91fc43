"""Makes the stub importable, as the helpers beside other tests are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
