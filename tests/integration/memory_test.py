"""What weft-proxy keeps in memory while nothing happens. Only a release build weighs what users' weighs: others are skipped."""

import subprocess
import unittest
import urllib.request

from tests.integration.harness import bootstrap
from tests.integration.harness.proxy import Proxy, under_test, weft_binary

IDLE_KIB = 2048
CLUSTER_BYTES = 2_000
MORE_CLUSTERS = 2_000


def is_release():
    return "release" in subprocess.run([weft_binary(), "--version"], capture_output=True, text=True, check=True).stdout


def own_kib(clusters):
    """What a proxy with that many clusters has for itself: the program and its libraries, which are files, not counted."""
    ok = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    config = bootstrap.bootstrap([bootstrap.http_listener("in", [ok])],
                                 [bootstrap.cluster("idle-%04d" % number, [("127.0.0.1", 9)]) for number in range(clusters)])
    with Proxy(config) as proxy:
        # The worker answers once it has taken the whole configuration.
        with urllib.request.urlopen("http://%s:%d/" % proxy.addresses["in"], timeout=10) as response:
            assert response.status == 200
        with open("/proc/%d/smaps_rollup" % proxy.process.pid) as file:
            return int(next(line for line in file if line.startswith("Anonymous:")).split()[1])


class MemoryTest(unittest.TestCase):
    def setUp(self):
        if under_test() != "weft" or not is_release():
            self.skipTest("is said of a release build of weft-proxy")

    def test_a_proxy_at_rest_has_little_for_itself(self):
        self.assertLessEqual(own_kib(1), IDLE_KIB)

    def test_an_idle_cluster_weighs_no_more_than_the_design_says(self):
        self.assertLessEqual((own_kib(1 + MORE_CLUSTERS) - own_kib(1)) * 1024 / MORE_CLUSTERS, CLUSTER_BYTES)


if __name__ == "__main__":
    unittest.main()
