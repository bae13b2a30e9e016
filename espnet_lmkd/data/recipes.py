"""The recipes that lie beside this package, in a checkout or in a wheel."""

import shutil
from pathlib import Path
from typing import List

from espnet_lmkd.errors import InputError

NEW = "TEMPLATE"
RECIPE = ("*.sh", "README.md", "local/*.sh", "local/*.py")


def root() -> Path:
    """Return the folder with `egs2` and `conf`."""
    package = Path(__file__).parent.parent
    return package if (package / "egs2").is_dir() else package.parent


def names() -> List[str]:
    """Return the recipes, `TEMPLATE` for a corpus of your own among them."""
    return sorted(path.parent.name for path in root().glob("egs2/*/asr_kd1"))


def make_recipe(name: str, out) -> None:
    """Copy a recipe with all that it runs on; it can be edited and moved.

    Args:
        name: one of `names()`.
        out: folder that does not exist yet.

    Raises:
        InputError: no such recipe, or the folder exists.
    """
    out = Path(out)
    if name not in names():
        raise InputError(f"no recipe {name!r}; choose one of {names()}")
    if out.exists():
        raise InputError(f"{out} exists; give a new folder")
    source, template = (root() / "egs2" / x / "asr_kd1" for x in (name, NEW))
    for pattern in RECIPE:
        for path in source.glob(pattern):
            if path.name != "setup.sh":  # links a new recipe to a checkout
                _copy(path, out / path.relative_to(source))
    for path in (template / "scripts").glob("*.sh"):
        _copy(path, out / "scripts" / path.name)
    for path in (root() / "conf").glob("**/*.yaml"):
        _copy(path, out / "conf" / path.relative_to(root() / "conf"))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
