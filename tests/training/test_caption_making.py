"""Data making: what is asked for is planned from the recipe, written once, checked against the ratings, and gone on with."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tiny_describer
from local_server import Server
from turnwise.foundation.errors import EngineError, InputError
from turnwise.quality.ratings import Ratings
from turnwise.training.caption_making import Made, make_examples, plan
from turnwise.training.example_file import of_split, read_examples
from turnwise.training.growing_file import read_lines
from turnwise.training.recipe import VARIANTS, Recipe, read_recipe
