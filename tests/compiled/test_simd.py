"""What compiled code on disk is known by."""

import importlib.util
import subprocess
import sys

from clearhead.compiled.simd import digest

ANOTHER = """
import sys, importlib.util
from clearhead.compiled.simd import digest
spec = importlib.util.spec_from_file_location("updated", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(digest(module))
"""


def test_code_that_was_updated_is_not_kept_as_the_new_one(tmp_path):
    """A process that loaded a file before it changed knows its code by another hash than those that load it after."""
    path = tmp_path / "updated.py"
    path.write_text("number = 1\n")
    spec = importlib.util.spec_from_file_location("updated", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path.write_text("number = 2\n")
    fresh = {
        subprocess.run([sys.executable, "-c", ANOTHER, path], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert len(fresh) == 1
    assert digest(module) not in fresh
