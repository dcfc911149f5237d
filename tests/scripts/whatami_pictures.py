"""Pictures for the tests of ``scripts.whatami``, and how they ask about them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from scripts.whatami import __main__ as whatami

ROOT = Path(__file__).parents[2]


def draw(
    mode: str = "L", size: tuple[int, int] = (60, 60), strokes: tuple[float, ...] = (0.5,)
) -> Image.Image:
    """Ones: dark strokes on white paper, their middles at shares of the width."""
    image = Image.new("RGB", size, "white")
    width, height = size
    for middle in strokes:
        half = 0.05 * min(size)
        left, right = int(middle * width - half), int(middle * width + half)
        box = left, int(height * 0.2), right, int(height * 0.8)
        ImageDraw.Draw(image).rectangle(box, fill="black")
    return image.convert(mode)


def ask_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    """Return the records that the command prints."""
    whatami.main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "scripts.whatami", *map(str, arguments)],
        cwd=ROOT, capture_output=True, timeout=120, **options,
    )  # fmt: skip
