"""HTTP/2 by h2spec, strict mode: every case over clear text with prior knowledge, and over TLS with ALPN."""

import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

from tests.integration.harness import bootstrap
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy

H2SPEC = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft")) / "bin/h2spec"
CASES_AT_LEAST = 145
CASE_LIMIT_S = 3

# Long enough for the cases that open a window byte by byte; h2spec skips them on a shorter one.
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200

# (part of h2spec, start of the title) -> why a proxy that does otherwise is right. h2spec is older than RFC 9113.
EXCEPTIONS = {}


def run(address, tls):
    """Runs h2spec once: [(part, title, failure or None, skipped)]."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [H2SPEC, "--strict", "--host", address[0], "--port", str(address[1]), "--timeout", str(CASE_LIMIT_S), "--junit-report", report.name]
        if tls:
            command += ["--tls", "--insecure"]
        output = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300).stdout
        text = pathlib.Path(report.name).read_text(errors="replace")
    if not text:
        raise AssertionError("h2spec wrote no report:\n" + output[-4000:])
    # It writes frames into its report as they came, which XML does not allow.
    text = re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffc]|&#x[0-9A-Fa-f]+;", "?", text)
    results = []
    for suite in xml.etree.ElementTree.fromstring(text).iter("testsuite"):
        for case in suite.iter("testcase"):
            problem = case.find("failure")
            if problem is None:
                problem = case.find("error")
            failure = None if problem is None else "".join(problem.itertext()).strip() or "it failed"
            results.append((case.get("package"), case.get("classname"), failure, case.find("skipped") is not None))
    return results


def check(part, title, failure, skipped):
    reason = next((why for (p, t), why in EXCEPTIONS.items() if p == part and title.startswith(t)), None)
    if reason:
        assert failure, f"{part}: {title}: it passes, so it is no exception any more"
    elif failure or skipped:
        raise AssertionError(f"{part}: {title}\n{failure or 'skipped'}")


class H2spec(unittest.TestCase):
    """Its methods are made by load_tests, one for each case that h2spec reports."""


def collect():
    with tempfile.TemporaryDirectory() as folder, Backend(default=RESPONSE) as backend:
        certificate = Authority(folder).leaf("server")
        routes = [bootstrap.route("backend")]
        listeners = [
            bootstrap.http_listener("clear", routes, codec="HTTP2"),
            bootstrap.http_listener("tls", routes, tls=bootstrap.server_tls(certificate, alpn=["h2", "http/1.1"])),
        ]
        with Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("backend", [backend.address])])) as proxy:
            # A failed case is a wait of its whole limit, so the two share the time.
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                names = ("clear", "tls")
                return dict(zip(names, pool.map(lambda name: run(proxy.addresses[name], tls=name == "tls"), names)))


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()

    def add(name, function):
        setattr(H2spec, name, lambda self: function())
        suite.addTest(H2spec(name))

    def stop(error):
        raise error

    try:
        found = collect()
    except Exception as error:
        add("test h2spec runs", lambda error=error: stop(error))
        return suite
    for name, results in found.items():
        add(f"test {name}: h2spec reports its cases",
            lambda count=len(results): H2spec().assertGreaterEqual(count, CASES_AT_LEAST))
        seen = collections.Counter()
        for part, title, failure, skipped in results:
            seen[part, title] += 1
            number = f" ({seen[part, title]})" if seen[part, title] > 1 else ""
            add(f"test {name}: {part}: {title}{number}", lambda *r, result=(part, title, failure, skipped): check(*result))
    return suite


if __name__ == "__main__":
    unittest.main()
