"""``python -m parity init`` on programs from the field: each draft is checked as it was written."""

import shutil
from pathlib import Path

import pytest

import parity
from parity.__main__ import main
from parity.commands import targets
from parity.drafting import world
from tests.cases import HERE
from tests.parity.drafted import own_imports

__all__ = ["own_imports"]  # a fixture that every test here has

# What is drafted, the outcome of its check, and what the first sentences say.
CASES = {
    "right/repro_init_computed_keys": (("gradients", "step"), "RIGHT", "64-40-10 (sigmoid, sigm"),
    "right/repro_init_long_names": (("step",), "RIGHT", "3-5-1 (sigmoid, sigmoid, no biases)"),
    "right/repro_init_not_found": (("step",), "RIGHT", "8-40-4 (sigmoid, sigmoid)"),
    "right/repro_init_tuple_output": (("gradients",), "RIGHT", "64-40-10 (relu, linear)"),
    "wrong/init/img_l": (("step",), "RIGHT", "12-8-5 (tanh, tanh, no biases)"),
    "wrong/init/in_methods": (("step",), "RIGHT", "64-40-10 (tanh, linear)"),
    "wrong/init/params_dict": (("gradients", "step"), "RIGHT", "64-40-10 (tanh, linear, no b"),
    "init/architecture_dicts": (("gradients", "step", "loss"), "RIGHT", "2-25-50-1 (relu, relu"),
    "init/list_of_tuples": (("gradients",), "RIGHT", "64-40-10 (relu, linear)"),
    "init/layers_update": (("gradients", "step", "loss"), "RIGHT", "2-8-1 (sigmoid, linear)"),
    "init/python_lists": (("step",), "RIGHT", "2-1-2 (sigmoid, sigmoid)"),
    "init/optimizer_object": (("gradients",), "RIGHT", "64-40-10 (tanh, tanh)"),
    "init/tensor_autograd": (("step",), "RIGHT", "64-40-10 (tanh, linear)"),
    "init/closure": (("gradients", "step"), "RIGHT", "64-40-10 (tanh, linear)"),
    "init/sample_at_a_time": (("step",), "RIGHT", "64-40-10 (sigmoid, sigmoid, no biases)"),
    "init/global_weights": (("step",), "RIGHT", "2-3-1 (sigmoid, sigmoid)"),
    "init/model_dict": (("step",), "RIGHT", "64-40-10 (tanh, softmax)"),
    "init/stored_input": (("step",), "RIGHT", "64-4-1 (sigmoid, sigmoid, no biases)"),
    "init/neurons": (("step",), "RIGHT", "6-5-3 (sigmoid, sigmoid)"),
    "init/added_layers": (("gradients", "step"), "RIGHT", "784-64-10 (sigmoid, sigmoid)"),
    "init/two_files": (("step", "loss"), "RIGHT", "2-3-1 (tanh, tanh)"),
    "init/trains_on_import": (("step",), "WRONG", "missing activation derivative"),
    "init/nested_params": (("gradients", "step", "loss"), "RIGHT", "64-40-10 (relu, linear)"),
    "init/list_of_dicts": (("gradients", "step"), "RIGHT", "64-40-10 (relu, linear)"),
    "init/dataclass_network": (("gradients",), "RIGHT", "64-40-10 (tanh, linear, no biases)"),
    "init/built_by_input": (("step",), "RIGHT", "64-16-3 (relu, sigmoid)"),
    "init/parsed_arguments": (("gradients", "step"), "RIGHT", "64-40-10 (tanh, linear, no biases)"),
    "init/generators": (
        ("gradients", "step"),
        "WRONG",
        "delta propagated with already updated weights",
    ),
    "init/layer_objects": (("step",), "RIGHT", "3-4-1 (sigmoid, sigmoid, no biases)"),
    "init/scikit_like": (("step",), "RIGHT", "64-40-10 (sigmoid, softmax)"),
    "init/params_by_fit": (("step",), "RIGHT", "13-8-1 (relu, sigmoid)"),
    "init/scalar_values": (("gradients", "loss"), "RIGHT", "6-6-5-3 (tanh, tanh, tanh)"),
    "init/differentiable_loss": (("gradients", "loss"), "RIGHT", "64-40-10 (gelu (tanh), lin"),
    "init/hinge_labels": (("gradients", "loss"), "RIGHT", "6-6-5-1 (tanh, tanh, linear)"),
    "init/one_share": (("gradients", "loss"), "WRONG", "the shares are assigned, not added up"),
    "init/pairs_of_columns": (("step",), "WRONG", "kernel gradient of the last sample alone"),
    "init/theta_vector": (("gradients", "loss"), "RIGHT", "64-40-10 (sigmoid, sigmoid)"),
    "init/own_optimizer": (("gradients", "step"), "WRONG", "Adam counts up t for each array"),
    "init/optimizer_closure": (
        ("gradients", "step", "loss"),
        "WRONG",
        "RMSprop's average is added to itself",
    ),
    "init/softmax_axis": (("gradients",), "WRONG", "softmax over the wrong axis"),
    "init/rate_twice": (("step",), "WRONG", "learning rate applied twice"),
    "init/velocities_beside": (("step",), "RIGHT", "2-12-1 (sin, linear)"),
    "init/script": (("step",), "RIGHT", "3-4-1 (sigmoid, sigmoid, no biases)"),
    "init/main_function": (("step",), "RIGHT", "3-4-1 (sigmoid, sigmoid)"),
    "init/spread_sizes": (("gradients",), "WRONG", "last sample of the batch left out"),
}
WHY_NOT = {
    "init/fit_makes_weights": "NeuralNetwork.fit makes new weights at each call (line 15), so that",
}


def _copied(name: str) -> str:
    """Copy a program, and those beside it, and return its file's name."""
    for file in (HERE / name).parent.glob("*.py"):
        shutil.copy(file, file.name)
    return f"{Path(name).name}.py"


@pytest.mark.census(keep=4)
@pytest.mark.parametrize("name", CASES)
def test_the_draft_is_judged_as_it_was_written(name: str):
    parts, outcome, said = CASES[name]
    file = _copied(name)
    assert main(["init", file]) == 0
    make = targets.candidate(f"check_{file}")
    candidate = make if isinstance(make, parity.Candidate) else make()
    found = [p for p in ("gradients", "step", "loss") if getattr(candidate, p) is not None]
    assert found == list(parts)
    report = parity.check(make)
    assert report.outcome.name == outcome, str(report)
    assert said in " ".join(str(report).split("\n\n")[0].split())


@pytest.mark.parametrize("name", WHY_NOT)
def test_why_nothing_is_drafted_is_said_in_one_line(name: str, capsys: pytest.CaptureFixture[str]):
    file = _copied(name)
    assert main(["init", file]) == 2
    err = capsys.readouterr().err
    assert WHY_NOT[name] in err
    assert err.count("\n") == 1
    assert not Path(f"check_{file}").exists()


def test_what_trains_and_reads_files_on_import_is_left_out(capsys: pytest.CaptureFixture[str]):
    file = _copied("init/trains_on_import")
    assert main(["init", file]) == 0
    out = capsys.readouterr().out
    assert 'left out of trains_on_import.py, by parity.definitions:\n  line 7: data = load("' in (
        out.replace("'", '"')
    )
    assert 'parity.definitions(Path(__file__).parent / "trains_on_import.py")' in (
        Path(f"check_{file}").read_text()
    )


def test_definitions_run_no_training_and_need_nothing_that_is_missing(tmp_path: Path):
    path = tmp_path / "program.py"
    path.write_text(
        "from __future__ import annotations\n"
        "import numpy as np, sys\n"
        "import no_such_module_anywhere as plt\n"
        "W = np.ones((2, 3))\n"
        "rows = []\n"
        "for k in range(3):\n    rows.append(np.zeros(k))\n"
        "def predict(x: Unknown): return x @ W\n"
        "W += predict(np.ones(2))\n"
        "while True:\n    W = None\n"
        "if __name__ == '__main__':\n    raise SystemExit\n"
        "sys.exit(predict(W))\n"
        "history = train(W)\n"
    )
    module = parity.definitions(path)
    assert module.predict([1.0, 1.0]).tolist() == (module.W[0] + module.W[1]).tolist()
    assert [len(row) for row in module.rows] == [0, 1, 2]
    assert not hasattr(module, "plt")
    assert not hasattr(module, "history")


def test_an_endless_forward_pass_is_given_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(world, "SECONDS", 0.1)
    Path("stuck.py").write_text(
        "import numpy as np\n"
        "class Net:\n"
        "    def __init__(self): self.W = np.ones((3, 2))\n"
        "    def forward(self, x):\n"
        "        while True:\n"
        "            try: x @ self.W\n"
        "            except Exception: pass\n"
        "    def gradients(self, x, y): return [self.W]\n"
    )
    assert main(["init", "stuck.py"]) == 2
    assert "TookTooLong" in capsys.readouterr().err
