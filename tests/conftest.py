"""What all tests share: real data, real tools, one thread."""

import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as `twin` does: no bit depends on the machine's cores

import pytest
import torch

torch.set_num_threads(1)
torch.set_flush_denormal(True)

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    """Measurements that nobody here made; see `shared/data/README.md`."""
    if not DATA.is_dir():
        pytest.skip(f"real measurements are not at {DATA}")
    return DATA


def tool(name: str) -> str:
    """The path of a program; skips without it, fails instead where TWIN_REQUIRE=all."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        if os.environ.get("TWIN_REQUIRE") == "all":
            pytest.fail(f"{name} is not installed and TWIN_REQUIRE=all")
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """The path of a real broker."""
    return tool("mosquitto")


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of Prometheus's checker."""
    return tool("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    """The path of a real Prometheus."""
    return tool("prometheus")
