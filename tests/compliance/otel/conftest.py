"""Makes the collectors of this folder importable for the tests in it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
