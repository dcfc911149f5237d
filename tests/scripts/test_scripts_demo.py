"""``scripts.demo``: both engines trained and compared, in short and with a planted error."""

import re
from dataclasses import replace
from pathlib import Path

from numpy_impl import optimizers, serialization
from scripts import demo


def test_the_demonstration_in_short(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "PLAN", tuple(replace(r, epochs=1) for r in demo.PLAN))
    assert demo.main(["--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    # Two networks, each compared in all sections, with every step checked.
    assert text.count("Identical up to rounding.") == 2
    for section in ("weights", "forward", "loss", "gradients", "steps", "training"):
        assert len(re.findall(rf"^{section}\b", text, re.MULTILINE)) == 2
    assert "96 of 96 training steps checked" in text
    assert "90 of 90 training steps checked" in text
    # Both engines have trained the same network: the accuracies are the same to the last digit.
    pairs = re.findall(r"test accuracy Keras ([\d.]+)%, NumPy ([\d.]+)%", text)
    assert len(pairs) == 2
    assert all(keras == numpy for keras, numpy in pairs)
    # The picture is answered in the whatAmI form.
    assert len(re.findall(r"^Am I a \d \? -- score: [\d.]+$", text, re.MULTILINE)) == 10
    for name in ("64-40-10", "64-200-10"):
        for file in ("curves.png", "confusion_matrix.png", "samples.png"):
            assert (tmp_path / name / file).read_bytes().startswith(b"\x89PNG")
        first = serialization.load(tmp_path / name / "model.npz").layers[0]
        assert type(first).__name__ == "Rescaling"  # so that the model takes pictures as they are


def test_the_demonstration_fails_when_an_engine_is_wrong(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "PLAN", (replace(demo.PLAN[0], epochs=1),))
    right = optimizers.SGD._update
    monkeypatch.setattr(
        optimizers.SGD, "_update", lambda self, g, *rest: right(self, 1.001 * g, *rest)
    )
    assert demo.main(["--out", str(tmp_path)]) == 1
    assert "NOT shown to be identical: steps 0/kernel" in capsys.readouterr().out
