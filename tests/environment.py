"""Loaded before the settings: the tests run in a data folder of their own, whatever the caller's environment says.

DATABASE_URL alone is left as it is, so that the suite can be run on another database.
"""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = re.findall(r'\benv_\w+\(\s*"([A-Z][A-Z0-9_]+)"', (ROOT / "config" / "settings.py").read_text())

for name in SETTINGS:
    if name != "DATABASE_URL":
        os.environ.pop(name, None)
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="assessments-tests-")
# The web server's static files are looked for there; the tests in this process need none.
os.mkdir(os.path.join(os.environ["DATA_DIR"], "static"))
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
