"""Imports go down only: a module may use its own floor and those below."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "espnet_lmkd"
FLOORS = {
    "__init__": 0,
    "padded": 0,
    "errors": 0,
    "losses": 1,
    "alignment": 1,
    "data": 1,
    "scoring": 1,
    "targets": 2,
    "distillers": 2,
    "teachers": 3,
    "asr": 3,
    "bin": 4,
    "__main__": 5,
}
# What a floor may take from outside of the pack.
FORBIDDEN = {
    "losses": ("espnet2", "espnet", "transformers"),
    "alignment": ("espnet2", "espnet", "transformers"),
    "data": ("espnet2", "espnet", "transformers", "torch"),
    "scoring": ("espnet2", "espnet", "transformers"),
    "targets": ("espnet2", "espnet"),
    "distillers": ("espnet2.tasks", "espnet2.train", "espnet2.bin", "transformers"),
    "teachers": ("espnet2", "espnet"),
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_go_down_only():
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for name in imports(path):
            if name.startswith("espnet_lmkd."):
                target = name.split(".")[1]
                below = FLOORS.get(target, 0)
                assert below <= FLOORS[place], f"{path} imports {name}"
            for outside in FORBIDDEN.get(place, ()):
                assert not (name + ".").startswith(outside + "."), f"{path}: {name}"


def test_no_file_is_long():
    for path in [*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("egs2/**/*.sh")]:
        assert len(path.read_text().splitlines()) <= 300, path
