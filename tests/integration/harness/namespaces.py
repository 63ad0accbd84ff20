"""Network namespaces as pods, for tests."""

import unittest

from tools.demos.namespaces import Namespace, Network, Pod, are_possible

__all__ = ["Namespace", "Network", "Pod", "needs_root"]


def needs_root(case):
    """For a TestCase or one test of it."""
    return unittest.skipUnless(are_possible(), "network namespaces are made by root alone")(case)
