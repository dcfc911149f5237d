"""The notebooks run from top to bottom, and what is saved in them is what they print."""

import ast
import importlib
import os
import re
import subprocess
import sys
from contextlib import suppress
from types import ModuleType

import pytest

import terminal_io
from tools import notebooks

nbformat = pytest.importorskip("nbformat", reason="the notebooks need requirements-dev.txt")
pytest.importorskip("nbclient", reason="the notebooks need requirements-dev.txt")
pytest.importorskip("ipykernel", reason="the notebooks need requirements-dev.txt")

NAMES = ("compare", "train", "validate_your_own", "whatami")
OURS = ("digits_parity", "parity", "keras_impl", "numpy_impl", "digit_data", "terminal_io")
FRACTION = re.compile(r"-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)")
PLACE = re.compile(r"\[\d+(?:, \d+)*\]")


def path(name):
    return notebooks.NOTEBOOKS / f"{name}.ipynb"


def code(name):
    return [cell for cell in notebooks.read(path(name)).cells if cell.cell_type == "code"]


def notebook_of(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])


def stable(cell):
    """Return what a cell printed without what rounding or the processor decides."""
    lines = []
    for line in "".join(notebooks.printed(cell)).splitlines():
        right = line.split()[-1:] in (["ok"], ["rounding"], ["identical"])
        # Which of the right elements is the worst, and whether it is right to the last bit.
        words = FRACTION.sub("#", PLACE.sub("", line) if right else line).split()
        if right:
            words = words[:2]
        lines.append(" ".join(words))
    return lines, [output.output_type for output in cell.outputs]


def run(tmp_path, *sources):
    notebook = notebook_of(*sources)
    notebooks.execute(notebook, tmp_path)
    return notebook


def test_there_are_no_others():
    assert sorted(p.stem for p in notebooks.NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_prints_what_is_saved_in_it(name, tmp_path):
    notebook, saved = notebooks.read(path(name)), code(name)
    notebooks.execute(notebook, tmp_path)
    notebooks.clean(notebook)
    assert notebooks.complaints(notebook) == []
    assert list(tmp_path.iterdir()) == []
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, before in zip(cells, saved, strict=True):
        if "MNIST_PATH" in os.environ or not "".join(notebooks.printed(cell)).startswith("Skip"):
            assert stable(cell) == stable(before), cell.source


def taken(package, name):
    """Return what ``from package import name`` gives, a module or anything; None if it fails."""
    module = importlib.import_module(package)
    if not hasattr(module, name):
        with suppress(ModuleNotFoundError):
            importlib.import_module(f"{package}.{name}")
    return getattr(module, name, None)


def unknown_names(sources):
    """Return what cells take from our packages that is not there: ``engines.Plan``, say."""
    trees = [ast.parse(re.sub("^%.*", "", source, flags=re.MULTILINE)) for source in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    ours, missing = {}, []
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in OURS:
            for alias in node.names:
                found = taken(node.module, alias.name)
                ours[alias.asname or alias.name] = found
                missing += [f"{node.module}.{alias.name}"] if found is None else []
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in OURS:
                    ours[alias.asname or alias.name] = importlib.import_module(alias.name)
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = ours.get(node.value.id)
            if isinstance(module, ModuleType) and not hasattr(module, node.attr):
                missing.append(f"{node.value.id}.{node.attr}")
    return missing


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_a_cell_takes_from_us_is_there(name):
    assert unknown_names(cell.source for cell in code(name)) == []


def test_a_name_that_is_gone_is_noticed():
    cell = "from digits_parity import engines\nengines.TrainingPlan.of(1)\nengines.Plan.of(1)"
    assert unknown_names(["%matplotlib inline\nimport parity", cell]) == ["engines.Plan"]
    assert unknown_names(["from parity import Verdicts"]) == ["parity.Verdicts"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_has_nothing_of_the_machine_in_it(name):
    notebook = notebooks.read(path(name))
    assert notebooks.complaints(notebook) == []
    content = path(name).read_text(encoding="utf-8")
    notebooks.clean(notebook)
    assert nbformat.writes(notebook) + "\n" == content
    numbers = [cell.execution_count for cell in code(name)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(content) < 400_000


def test_errors_warnings_and_paths_in_outputs_are_caught(tmp_path):
    with pytest.raises(notebooks.CellError, match=r"1 / 0[\s\S]*ZeroDivisionError"):
        run(tmp_path, "2 + 2", "1 / 0", "3 + 3")
    spoken = run(tmp_path, "import os, sys", "sys.stderr.write('!')", "print(os.getcwd())")
    assert [line.split(":")[0] for line in notebooks.complaints(spoken)] == [
        "cell 2 wrote to standard error",
        "cell 3 printed an absolute path",
    ]
    assert notebooks.complaints(run(tmp_path, "print('1/2 of http://example.org/a/b')")) == []


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path, capsys):
    file = tmp_path / "failing.ipynb"
    nbformat.write(notebook_of("1 / 0"), file)
    before = file.read_bytes()
    assert notebooks.main([str(file)]) == terminal_io.FAILURE
    assert "failing.ipynb: expected every cell to run." in capsys.readouterr().err
    assert file.read_bytes() == before
    assert notebooks.main([str(tmp_path / "none.ipynb")]) == terminal_io.USAGE_ERROR


def test_running_again_changes_nothing(tmp_path):
    file = tmp_path / "short.ipynb"
    source = "for i in range(3):\n    print(i, flush=True)\n{1, 2}"
    nbformat.write(notebook_of(source, "print('done')"), file)
    contents = []
    for _ in range(2):
        notebooks.renew(file)
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]
    assert [o.output_type for o in notebooks.read(file).cells[0].outputs] == [
        "stream",
        "execute_result",
    ]


def test_the_first_cell_is_the_same_in_all():
    assert len({code(name)[0].source for name in NAMES}) == 1


HERE, ADDRESS = str(notebooks.NOTEBOOKS.parents[1]), "https://example.org/it.git"


@pytest.mark.parametrize(
    ("project", "inside", "commands"),
    [
        ("", True, [f"install --quiet {HERE}"]),
        (HERE, False, [f"install --quiet {HERE}"]),
        (ADDRESS, False, [f"{ADDRESS} digits-parity", "install --quiet {cwd}/digits-parity"]),
        ("nowhere", False, None),
        ("", False, None),
    ],
)
def test_the_first_cell_installs_the_project_or_says_what_it_needs(
    project, inside, commands, tmp_path
):
    # Without site-packages, as where nothing is installed; commands are printed, not run.
    setup = code("train")[0].source.replace('PROJECT = ""', f"PROJECT = {project!r}")
    program = f"import subprocess\nsubprocess.run = lambda command, check: print(*command)\n{setup}"
    cwd = notebooks.NOTEBOOKS if inside else tmp_path
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if commands is None:
        assert done.returncode == 1
        assert re.fullmatch(r"Expected the project: .*PROJECT = '\w*'\n", done.stderr)
        return
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Installing")]
    for line, expected in zip(lines, commands, strict=True):
        assert line.endswith(expected.format(cwd=cwd.resolve()))
