"""The demo's assessments: their texts and figures are in ``content.toml``, their pictures in ``pictures``."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

CONTENT: dict[str, Any] = tomllib.loads(Path(__file__).with_name("content.toml").read_text(), parse_float=Decimal)
# The data that differs from assessment to assessment.
Story = dict[str, Any]
STORIES: list[Story] = CONTENT["stories"]
