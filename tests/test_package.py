"""The package: it is installed without what only training needs, brings its 8-bit weights, and reads from anywhere."""

from __future__ import annotations

import ast
import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from PIL import Image

import lpr_e2e
from lpr_e2e.common.extras import BASE, EXTRAS, install, remedy
from lpr_e2e.prediction.engines.loading import load_drivers

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BASE_REQUIREMENTS = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRA_REQUIREMENTS = {
    name: [Requirement(line) for line in lines] for name, lines in PROJECT["project"]["optional-dependencies"].items()
}
# By the name of the distribution: what it is imported as, where that differs.
IMPORTED_AS = {
    "opencv-python-headless": "cv2",
    "google-re2": "re2",
    "pillow": "PIL",
    "ai-edge-litert": "ai_edge_litert",
    "apache-beam": "apache_beam",
    "keras-cv": "keras_cv",
    "pyyaml": "yaml",
    "fastapi-offline": "fastapi_offline",
    "python-multipart": "python_multipart",
    "prometheus-client": "prometheus_client",
}


def listed(file: str) -> dict[str, SpecifierSet]:
    """The requirements in a file by name."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    found = [Requirement(line) for line in lines if line]
    return {one.name: one.specifier for one in found}


def flat(extra: str) -> dict[str, SpecifierSet]:
    """The requirements of an extra, with those of the extras that it names."""
    found: dict[str, SpecifierSet] = {}
    for one in EXTRA_REQUIREMENTS[extra]:
        if one.name == PROJECT["project"]["name"]:
            for other in one.extras:
                found |= flat(other)
        else:
            found[one.name] = one.specifier
    return found


class TestRequirements:
    def test_both_files_name_the_same_ranges(self):
        """`requirements.txt` is the whole set-up of a checkout, `pyproject.toml` the parts of it."""
        parts = {one.name: one.specifier for one in BASE_REQUIREMENTS} | flat("dev")
        whole = listed("requirements.txt")
        assert set(whole) == set(parts)
        differing = {name for name in whole if whole[name] != parts[name]}
        assert differing == {"pillow"}  # Beam is not ready for Pillow 13, and reading does with 12.

    def test_every_requirement_is_a_range_with_an_end(self):
        for name, specifier in {**listed("requirements.txt"), **flat("beam")}.items():
            operators = {one.operator for one in specifier}
            assert operators in ({"=="}, {">=", "<"}), f"{name}{specifier}"

    def test_beam_and_reading_go_together(self):
        reading = {one.name: one.specifier for one in BASE_REQUIREMENTS}
        batch = listed("lpr_e2e/serving/beam-requirements.txt")
        both = {**reading, **flat("beam")}
        assert set(batch) - {"pytest"} == set(both)  # The workers' tests run in that environment alone.
        for name, specifier in both.items():
            lowest = Version(next(one.version for one in batch[name] if one.operator in (">=", "==")))
            assert lowest in specifier, f"{name}: {batch[name]} and {specifier}"

    def test_reading_needs_neither_tensorflow_nor_keras_nor_pandas(self):
        names = {one.name for one in BASE_REQUIREMENTS}
        assert not names & {"tensorflow", "keras", "pandas", "matplotlib", "tensorboard", "jax"}

    def test_training_on_jax_needs_what_training_needs_but_for_tensorflow(self):
        assert flat("jax").keys() - {"jax"} == flat("train").keys() - {"tensorflow"}
        assert "tensorflow" in flat("train") and "tensorflow" not in flat("jax")

    def test_what_is_said_to_install_brings_the_package(self):
        for package, extra in EXTRAS.items():
            brought = {IMPORTED_AS.get(name, name) for name in flat(extra)}
            assert package in brought, f"{package} is not in the extra {extra}"
        base = {IMPORTED_AS.get(one.name, one.name).lower() for one in BASE_REQUIREMENTS}
        assert base == {package.lower() for package in BASE}

    def test_the_remedy_names_extra_and_package(self):
        assert install("pandas") == "pip install '.[train]' in the project's folder"
        assert install("cv2") == "pip install . in the project's folder"
        assert install("fastapi", "label") == "pip install '.[label]' in the project's folder"
        assert install("fastapi", "serve") == install("fastapi") == "pip install '.[serve]' in the project's folder"
        assert install("pandas", "label") == install("pandas")
        assert "onnx, which is not installed" in (remedy(ModuleNotFoundError("x", name="onnx.helper")) or "")
        assert remedy(ModuleNotFoundError("x", name="lpr_e2e.nothing")) is None
        assert remedy(ImportError("x")) is None


# What TensorFlow says: it names no module, and quotes a traceback.
OF_TENSORFLOW = """Traceback (most recent call last):
  File "pywrap_tensorflow.py", line 73, in <module>
ImportError: libx.so.1: cannot open shared object file


Failed to load the native TensorFlow runtime.
See https://www.tensorflow.org/install/errors for some common causes and solutions."""


class TestBrokenPackages:
    """They are installed, and something that they need themselves is not."""

    @staticmethod
    def imported(error: Exception, *packages: str) -> ImportError:
        """The error as it comes out of packages, each imported by the one before."""
        source = "raise error"
        for package in reversed(packages):
            source = f"exec(compile({source!r}, '', 'exec'), {{'__name__': {package!r}, 'error': error}})"
        with pytest.raises(ImportError) as raised:
            exec(source, {"error": error, "__name__": "lpr_e2e"})
        return raised.value

    @pytest.mark.parametrize(
        ("error", "packages", "words"),
        [
            (ImportError(OF_TENSORFLOW), ["keras", "tensorflow.python"], "tensorflow is .*: ImportError: libx.*"),
            (ImportError("libgomp.so.1"), ["onnxruntime", "onnxruntime.capi._ld"], "onnxruntime is .*: libgomp.so.1"),
            (ImportError("libGL.so.1\nelse"), ["cv2"], "cv2 is .*: libGL.so.1"),
            (ModuleNotFoundError("No x", name="x"), ["onnxruntime"], "onnxruntime is .*: No x"),
            (ImportError(""), ["tqdm", "somebodys"], "tqdm is .*: ImportError"),
            (ModuleNotFoundError("No jax", name="jax"), ["keras"], "this needs jax, which is not installed: pip .*"),
        ],
    )  # fmt: skip
    def test_the_package_and_its_reason_are_one_line(self, error, packages, words):
        assert re.fullmatch(words, remedy(self.imported(error, *packages)) or "")

    @pytest.mark.parametrize("error", [ImportError("x"), ModuleNotFoundError("x", name="lpr_e2e.nothing")])
    def test_a_fault_of_our_own_stays_a_traceback(self, error):
        assert remedy(self.imported(error, "lpr_e2e.cli", "somebodys")) is None

    def test_a_runtime_that_cannot_be_imported_is_not_called_missing(self, monkeypatch, tmp_path):
        (tmp_path / "onnxruntime.py").write_text("raise ImportError('libgomp.so.1: cannot open')")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
        with pytest.raises(ImportError, match="libgomp") as raised:
            load_drivers(ROOT / "saved_models/tunisia", 1, 1)
        assert "onnxruntime is installed and cannot be imported" in (remedy(raised.value) or "")

    def test_a_runtime_that_is_missing_is_named_with_what_brings_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(ModuleNotFoundError, match="onnxruntime, which is not installed: pip install") as raised:
            load_drivers(ROOT / "saved_models/tunisia", 1, 1)
        assert remedy(raised.value) == f"this needs onnxruntime, which is not installed: {install('onnxruntime')}"


@pytest.mark.parametrize(
    "called", [["-m", "lpr_e2e"], ["-m", "lpr_e2e.cli"], [ROOT / "lpr_e2e"], [ROOT / "lpr_e2e/__main__.py"]]
)
def test_however_python_is_told_to_run_it_the_command_runs(called, tmp_path):
    """A folder or a file of a checkout is run without the checkout being on Python's path."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT) if called[0] == "-m" else ""}
    command = list(map(str, [sys.executable, *called, "models"]))
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "default: tunisia" in done.stdout, done.stderr


def test_all_rooms_are_packed():
    rooms = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "lpr_e2e").rglob("*.py")}
    assert rooms | {"lpr_e2e.saved_models"} == set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_version_stands_in_one_place():
    assert "version" in PROJECT["project"]["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", lpr_e2e.__version__)


def test_importing_the_package_is_light():
    script = (
        "import sys, lpr_e2e; heavy = {'cv2', 'numpy', 'tensorflow', 'keras'}; assert not heavy & set(sys.modules)\n"
        "from lpr_e2e import PlateReader, Reading\n"
        "assert not {'tensorflow', 'keras', 'pandas'} & set(sys.modules), 'reading is light, too'\n"
        "print(PlateReader.__name__, Reading.__name__, hasattr(lpr_e2e, 'Nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "PlateReader Reading False\n", done.stderr


# A package that must not be needed: whoever imports it is told so.
REFUSING = "raise AssertionError(f'{__name__} is imported')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of what a clone holds, without the network."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    source, folder = tmp_path_factory.mktemp("source") / "clone", tmp_path_factory.mktemp("wheel")
    kept = ("lpr_e2e", "saved_models", "pyproject.toml", "README.md", "LICENSE", "train.py", "predict.py")
    source.mkdir()
    for name in kept:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--wheel-dir", str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """A folder with the package installed, and in place of TensorFlow, Keras and pandas what refuses to be imported."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(folder)]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    for name in ("tensorflow", "keras", "pandas", "jax"):
        (folder / f"{name}.py").write_text(REFUSING)
    return folder


class TestWheel:
    def test_it_holds_modules_pages_and_8_bit_weights_and_nothing_else(self, wheel):
        names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
        assert all(name.startswith("lpr_e2e/") for name in names)
        kinds = {Path(name).suffix or Path(name).name for name in names}
        assert kinds == {".py", ".html", ".js", ".css", ".typed", ".json", ".onnx", ".bin"}
        exported = [folder.name for folder in (ROOT / "saved_models").iterdir() if folder.is_dir()]
        assert "tunisia" in exported
        for model in exported:
            weights = {name for name in names if name.startswith(f"lpr_e2e/saved_models/{model}/")}
            assert {Path(name).name for name in weights} == {
                *("model.json", "find_int8.onnx", "read_int8.onnx", "weights_int8.bin")
            }
        modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lpr_e2e").rglob("*.py")}
        assert modules == {name for name in names if name.endswith(".py")}
        assert wheel.stat().st_size < 1e6 + 3e6 * len(exported)

    def test_it_reads_a_photograph_from_another_folder(self, site, tiny_data, tmp_path):
        photograph = sorted((tiny_data / "test").iterdir())[0]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-m", "lpr_e2e", "predict", str(photograph), "--output", str(tmp_path / "out")]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        with (tmp_path / "out/predictions.csv").open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert row["img_id"] == photograph.name and row["text"] and row["status"] == "ok"
        here = subprocess.run(
            [sys.executable, "predict.py", str(photograph), "--output", str(tmp_path / "here")], cwd=ROOT, timeout=120
        )
        assert here.returncode == 0
        both = [(tmp_path / name / "predictions.csv").read_bytes() for name in ("out", "here")]
        assert both[0] == both[1]

    def test_its_models_are_those_that_came_with_it(self, site, tmp_path):
        script = (
            "from lpr_e2e.prediction.models import find, shipped_folder; import lpr_e2e\n"
            "print(lpr_e2e.__file__, shipped_folder(), find(), lpr_e2e.__version__, sep='\\n')"
        )
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        folder = site / "lpr_e2e/saved_models"
        assert done.stdout.splitlines() == [
            str(site / "lpr_e2e/__init__.py"), str(folder), str(folder / "tunisia"), lpr_e2e.__version__,
        ], done.stderr  # fmt: skip

    def test_run_from_the_archive_it_says_that_its_weights_cannot_be_found(self, wheel, tmp_path):
        command = [sys.executable, "-m", "lpr_e2e", "predict", str(tmp_path), "--output", str(tmp_path / "out")]
        Image.new("RGB", (60, 40)).save(tmp_path / "car.png")
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(wheel)},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert "no weights in" in done.stderr and "pip install" in done.stderr

    @pytest.mark.parametrize(
        ("command", "extra"), [(["train"], "train"), (["predict", "PHOTOGRAPHS", "--model", "MODEL"], "train")]
    )
    def test_what_is_missing_is_one_line(self, command, extra, site, tiny_data, tmp_path):
        places = {"PHOTOGRAPHS": str(tiny_data / "test"), "MODEL": str(ROOT / "saved_models/tunisia.keras")}
        script = (  # As if Keras were not installed.
            "import sys, importlib.util as util; found = util.find_spec\n"
            "util.find_spec = lambda name, *more: None if name.partition('.')[0] == 'keras' else found(name, *more)\n"
            "from lpr_e2e.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, *(places.get(part, part) for part in command)],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.endswith(f"pip install '.[{extra}]' in the project's folder\n")


def test_the_entry_point_is_there():
    module, _, function = PROJECT["project"]["scripts"]["lpr-e2e"].partition(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_lock_file_is_of_this_set_up():
    """Every requirement has a version there, within its range."""
    lines = (ROOT / ".ci/requirements-lock.txt").read_text(encoding="utf-8").splitlines()
    locked = dict(line.lower().replace("_", "-").split("==") for line in lines if "==" in line)
    for name, specifier in listed("requirements.txt").items():
        assert Version(locked[name.lower()]) in specifier, name


def test_what_is_left_unmended_says_why_and_until_when():
    """A line is an identifier and its reason; all else is a comment, as CI reads it."""
    lines = (ROOT / ".ci/audit-exceptions.txt").read_text(encoding="utf-8").splitlines()
    for line in filter(None, lines):
        assert re.fullmatch(r"#.*|[A-Z]+(-[\w-]+)+\s+# .*\b20\d\d\b.*", line), line


@pytest.mark.parametrize("page", sorted((ROOT / "lpr_e2e").rglob("*.html")), ids=lambda page: page.name)
def test_pages_allow_nothing_from_outside(page):
    """Nor may they send anything there: of forms and of the base of links, `default-src` says nothing."""
    text = page.read_text(encoding="utf-8")
    policies = re.findall('http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    served = page.parent.name == "annotation"  # This one gets its policy with the answer, see `test_label`.
    assert len(policies) == (not served)
    for policy in policies:
        allowed = dict(one.strip().partition(" ")[::2] for one in policy.split(";"))
        assert [allowed.pop(name) for name in ("default-src", "base-uri", "form-action")] == ["'none'"] * 3
        assert allowed.pop("img-src") == "data:" and set(allowed) <= {"style-src", "script-src"}
        assert set(allowed.values()) == {"'unsafe-inline'"}
    assert not re.search(r"(?:src|href|action)=[\"']?(?:https?:|//)", text)
