"""HTTP/1.1 by raw bytes: every case of http1_requests.py and http1_responses.py through the proxy."""

import unittest

from tests.conformance import http1_case, http1_envoy, http1_requests, http1_responses
from tests.integration.harness import bootstrap
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy, under_test

GROUPS = {
    "plain": {},
    "http10": {"http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "default.example"}},
}


class Http1(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        # Envoy waits before it closes; the field says how long. The wait is most of this module's time.
        quick_close = {"delayed_close_timeout": "0.1s"} if under_test() == "envoy" else {}
        listeners = [
            bootstrap.http_listener(name, [bootstrap.route("backend", timeout="10s")], codec="HTTP1",
                                    upgrade_configs=[{"upgrade_type": "websocket"}], **quick_close, **options)
            for name, options in GROUPS.items()
        ]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("backend", [cls.backend.address])])))

    def check(self, name, case):
        found = http1_case.run(case, self.proxy.addresses[case.group], self.backend, self.proxy.addresses["plain"])
        if under_test() == "envoy" and name in http1_envoy.DIFFERENCES:
            self.assertTrue(found, f"Envoy no longer differs here: {http1_envoy.DIFFERENCES[name]}")
        elif found:
            self.fail(f"RFC {case.source}: {case.name}\n  " + "\n  ".join(found) + f"\n  sent: {case.send if isinstance(case.send, list) else case.send[:300]!r}")


def add_cases():
    names = set()
    for prefix, cases in (("request", http1_requests.ALL), ("response", http1_responses.ALL)):
        for case in cases:
            name = f"{prefix}: {case.name}"
            assert name not in names, f"two cases are called {name}"
            names.add(name)
            setattr(Http1, f"test {name}", lambda self, name=name, case=case: self.check(name, case))
    assert set(http1_envoy.DIFFERENCES) <= names, set(http1_envoy.DIFFERENCES) - names


add_cases()

if __name__ == "__main__":
    unittest.main()
