"""Looks into the wheel and the sdist of a folder: what each must have, and what no user needs."""

import sys
import tarfile
import zipfile
from pathlib import Path

NEEDED = {
    ".whl": {
        "clearhead/__init__.py",
        "clearhead/py.typed",
        "clearhead/problems/bundled/soccer.toml",
        "clearhead/compiled/bitcode/kernels.json",
        "clearhead/compiled/bitcode/run-8.bc.xz",
    },
    ".gz": {
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CITATION.cff",
        "LICENSE",
        "Makefile",
        "pyproject.toml",
        "tests/conftest.py",
    },
}
REFUSED = {
    ".whl": ("tests/", "tsconfig.json", ".d.ts", "__pycache__"),
    ".gz": (".venv/", ".cache/", "__pycache__"),
}


def names(path: Path) -> set[str]:
    """The files of an archive; those of an sdist without its top folder."""
    if path.suffix == ".whl":
        return set(zipfile.ZipFile(path).namelist())
    return {name.partition("/")[2] for name in tarfile.open(path).getnames()}


def main(folder: Path) -> None:
    """Raises SystemExit with what is wrong."""
    archives = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    faults = [] if len(archives) == 2 else [f"expected a wheel and an sdist, got {len(archives)} archives"]
    for path in archives:
        files = names(path)
        faults += [f"{path.name} lacks {name}" for name in sorted(NEEDED[path.suffix] - files)]
        faults += [
            f"{path.name} has {name}" for name in sorted(files) if any(each in name for each in REFUSED[path.suffix])
        ]
    if faults:
        sys.exit("\n".join(faults))


main(Path(sys.argv[1]))
