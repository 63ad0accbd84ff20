"""Network namespaces as pods, for tests."""

import os
import pathlib
import shutil
import tempfile
import unittest

from tools.demos.namespaces import Namespace, Network, Pod, are_possible

__all__ = ["Namespace", "Network", "Pod", "for_all_users", "needs_root"]

_for_all = {}


def for_all_users(program):
    """A copy of a program that any user may run, wherever the program stands; it goes when this process ends."""
    if program not in _for_all:
        folder = tempfile.TemporaryDirectory(prefix="weft-programs-")
        os.chmod(folder.name, 0o755)
        copy = pathlib.Path(folder.name) / pathlib.Path(program).name
        shutil.copyfile(program, copy)
        copy.chmod(0o755)
        _for_all[program] = folder, str(copy)
    return _for_all[program][1]


def needs_root(case):
    """For a TestCase or one test of it."""
    return unittest.skipUnless(are_possible(), "network namespaces are made by root alone")(case)
