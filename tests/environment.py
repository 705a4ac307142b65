"""A pytest plugin, loaded before the settings: it drops the caller's settings and gives the tests a data folder.

DATABASE_URL alone is kept, so that the suite can run on another database.
"""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = [
    name
    for path in sorted((ROOT / "config").glob("*.py"))
    for name in re.findall(r'\benv_\w+\(\s*"([A-Z][A-Z0-9_]+)"', path.read_text())
]

for name in SETTINGS:
    if name != "DATABASE_URL":
        os.environ.pop(name, None)
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="assessments-tests-")
# The web server expects its static files there. The tests in this process need none, so the folder is empty.
os.mkdir(os.path.join(os.environ["DATA_DIR"], "static"))
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
