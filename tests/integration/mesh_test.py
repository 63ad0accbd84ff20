"""Ours with ours: three services with a sidecar each, a canary that shifts under load, and a control plane that is killed
again and again. No request fails, and nothing that was committed is lost."""

import collections
import contextlib
import json
import random
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from tests.integration.harness import http1
from tests.integration.harness.control_plane import ControlPlane, binary
from tests.integration.harness.live import eventually
from tests.integration.harness.mesh import Workload, service, split
from tools.demos.ports import free_port

CALLERS = 3
CHANGES = 100
KILLS = 100
LONGEST_LIFE_S = 0.15


class Load:
    """Callers that ask a workload without a pause, each on a connection of its own; what was answered, and what was not."""

    def __init__(self, workload):
        self._workload = workload
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers = collections.Counter()
        self.failures = []
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def _call(self):
        with http1.Client(self._workload.inbound) as client:
            while not self._over.is_set():
                answer = self._workload.ask(client)
                with self._lock:
                    if answer is not None and answer[0] == 200:
                        self.answers[answer[1]] += 1
                        continue
                    self.failures.append(answer)
                return

    def count(self):
        with self._lock:
            return sum(self.answers.values())

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()


class Mesh(unittest.TestCase):
    """web calls orders, orders calls prices, behind which stand prices-v1 and prices-v2."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.xds = ("127.0.0.1", free_port())
        self.control = None
        self.start_control()
        self.addCleanup(lambda: self.control.stop())
        names = ["web", "orders", "prices", "prices-v1", "prices-v2"]
        self.control.apply(*(service(name) for name in names), split("prices", prices_v1=100, prices_v2=0))
        token = self.control.token("--namespace", "shop")
        self.workloads = {name: self.enterContext(Workload(name, self.control, token, calls))
                          for name, calls in (("prices-v1", None), ("prices-v2", None), ("orders", "prices"), ("web", "orders"))}
        self.web = self.workloads["web"]
        self.assertTrue(eventually(lambda: self.web.ask() == (200, "web > orders > prices-v1")), self.describe)

    def start_control(self):
        self.control = ControlPlane(self.folder, secure=True, xds="%s:%d" % self.xds)

    def describe(self):
        return f"{self.web.ask()}\n{self.control.workloads()}\n" + "\n".join(each.sidecar.output.text() for each in self.workloads.values())

    def test_a_canary_shifts_a_hundred_times_and_no_request_fails(self):
        with Load(self.web) as load:
            for i in range(CHANGES):
                self.control.apply(split("prices", prices_v1=CHANGES - i, prices_v2=i + 1))
                met = load.count()
                self.assertTrue(eventually(lambda: load.failures or load.count() > met + CALLERS), "the load stands still")
            self.control.apply(split("prices", prices_v1=0, prices_v2=100))
            self.assertTrue(eventually(lambda: {self.web.ask() for _ in range(20)} == {(200, "web > orders > prices-v2")}), self.describe)
        self.assertEqual([], load.failures)
        self.assertEqual({"web > orders > prices-v1", "web > orders > prices-v2"}, set(load.answers))

    def weights(self):
        """What the control plane has stored, as the number of the change that made it; 0: as it began."""
        route = json.loads(self.control.weftctl("get", "httproute", "prices", "-n", "shop", "-o", "json"))
        route = route["items"][0] if "items" in route else route
        return route["spec"]["rules"][0]["backendRefs"][1].get("weight", 0)

    def change(self, number):
        """Begins to apply a change; the process of weftctl."""
        process = subprocess.Popen([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, "apply", "-f", "-"], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(split("prices", prices_v1=1000, prices_v2=number)).encode())
            process.stdin.close()
        return process

    def test_a_control_plane_killed_a_hundred_times_loses_nothing_and_fails_no_request(self):
        seed = time.time_ns()
        chance = random.Random(seed)
        with self.subTest(seed=seed), Load(self.web) as load:
            committed = 0
            for number in range(1, KILLS + 1):
                applying = self.change(number)
                threading.Event().wait(chance.uniform(0, LONGEST_LIFE_S))
                self.control.stop(signal.SIGKILL)
                if applying.wait(20) == 0:
                    committed = number
                self.start_control()
                stored = self.weights()
                self.assertIn(stored, range(committed, number + 1), "what was committed is lost")
                committed = stored
            # All find it again, and take what is new.
            self.control.apply(split("prices", prices_v1=0, prices_v2=1))
            self.assertTrue(eventually(lambda: {self.web.ask() for _ in range(20)} == {(200, "web > orders > prices-v2")}), self.describe)
        self.assertEqual([], load.failures, load.failures and self.describe())


if __name__ == "__main__":
    unittest.main()
