"""Third parties add nets through entry points, and they are trained like ours."""

from __future__ import annotations

import importlib
import sys

import pytest

from hyperplane import discovery
from hyperplane.errors import UserError

NET = '''"""One constant per output, whatever it sees."""
import torch
from torch import nn
VARIANTS = {"stubborn-net": {}}
EXAMPLE = {"shape": (2,), "outputs": 1, "options": {}}
class Constant(nn.Module):
    ACCEPTS = ("feature_BD", "image_BCHW")
    def __init__(self, shape, outputs, *, start: float = 0.5):
        super().__init__()
        self.value = nn.Parameter(torch.full((outputs,), start))
    def forward(self, x, taps=None):
        return self.value.expand(len(x), -1)
NET = Constant
'''


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Put a distribution with one net on the path, as pip would."""
    (tmp_path / "constant_net.py").write_text(NET)
    info = tmp_path / "constant_net-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: constant-net\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hyperplane.nets]\nconstant = constant_net\nmlp = constant_net\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    discovery.entries.cache_clear()
    yield
    sys.modules.pop("constant_net", None)
    discovery.entries.cache_clear()


def test_is_listed_without_being_imported_and_hides_nothing_of_ours(third_party):
    entry = discovery.entries("nets")["constant"]
    assert (entry.origin, entry.summary) == ("constant-net", "One constant per output, whatever it sees.")
    assert entry.variants == ("stubborn-net",)
    assert "constant_net" not in sys.modules
    assert discovery.entries("nets")["mlp"].origin == "hyperplane"


def test_trains_and_loads_again(third_party, empty_folder):
    import hyperplane

    run = hyperplane.train("points-separable", net="constant", changes={"training.epochs": 1})
    again = hyperplane.load(run.path)
    assert again.recipe.net.options == {"start": 0.5}
    assert again.metrics == run.metrics


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'lenet'"):
        discovery.find("nets", "lennet")
    with pytest.raises(UserError, match="did you mean 'lenet5'"):
        discovery.find("nets", "lenet-5")


def test_a_variant_of_theirs_hides_no_name_of_ours(third_party, tmp_path):
    module = tmp_path / "constant_net.py"
    module.write_text(NET.replace('"stubborn-net"', '"lenet5": {}, "perceptron"'))
    discovery.entries.cache_clear()
    assert discovery.find("nets", "lenet5").name == "lenet"
    assert discovery.find("nets", "perceptron").origin == "hyperplane"


def test_a_broken_module_of_theirs_breaks_nothing_of_ours(third_party, tmp_path, empty_folder):
    (tmp_path / "constant_net.py").write_text("def broken(")
    discovery.entries.cache_clear()
    assert "cannot be read" in discovery.entries("nets")["constant"].summary
    assert discovery.load("nets", "mlp").__name__ == "hyperplane.nets.mlp"
    with pytest.raises(UserError, match=r"'constant' of constant-net cannot be used .* pip uninstall constant-net"):
        discovery.load("nets", "constant")


def test_listing_imports_no_package_above_a_module_of_theirs(third_party, tmp_path):
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "heavy" / "net.py").write_text(NET)
    points = tmp_path / "constant_net-1.0.dist-info" / "entry_points.txt"
    points.write_text("[hyperplane.nets]\nheavy = heavy.net\n")
    discovery.entries.cache_clear()
    assert discovery.entries("nets")["heavy"].summary == "One constant per output, whatever it sees."
