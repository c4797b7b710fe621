"""What every alert does in five situations: see `SITUATIONS`.

`python -m tests.deploy.situations > deploy/twin.situations.test.yml` renews the file for promtool.
"""

from __future__ import annotations

import sys

from tests.deploy.parts import PARTS
from tests.deploy.promises import page
from tests.deploy.service import SERVICE

HEAD = "# Made by `python -m tests.deploy.situations`; do not edit.\n"
CASES = [*PARTS, *SERVICE]


def text() -> str:
    """The file for promtool."""
    return HEAD + page(CASES)


if __name__ == "__main__":
    sys.stdout.write(text())
