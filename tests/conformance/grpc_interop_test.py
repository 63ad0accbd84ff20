"""gRPC through the proxy: grpc-go's interop client against grpc-go's interop server, every standard case that needs no
cloud account, over clear text and over TLS on the client's side."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from tests.integration.harness import bootstrap
from tests.integration.harness.certificates import Authority
from tests.integration.harness.ports import process_ports
from tests.integration.harness.proxy import Output, Proxy

PROGRAMS = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft")) / "bin"
CASE_LIMIT_S = 60

CASES = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "rpc_soak",
    "channel_soak",
]
# The soak cases as many rounds as show a leak of streams, not as many as show one of minutes.
SOAK = ["--soak_iterations=50", "--soak_max_failures=0", "--soak_overall_timeout_seconds=50", "--soak_per_iteration_max_acceptable_latency_ms=10000"]


class GrpcInterop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.authority = Authority(folder)
        cls.server = subprocess.Popen([PROGRAMS / "grpc_interop_server", "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        cls.addClassCleanup(cls.stop_server)
        output = Output(cls.server.stdout)
        port = process_ports(cls.server)[0]
        del output
        routes = [bootstrap.route("grpc", timeout="0s")]
        listeners = [
            bootstrap.http_listener("clear", routes),
            bootstrap.http_listener("tls", routes, tls=bootstrap.server_tls(cls.authority.leaf("server"), alpn=["h2"])),
        ]
        clusters = [bootstrap.cluster("grpc", [("127.0.0.1", port)], http2=True)]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters)))

    @classmethod
    def stop_server(cls):
        cls.server.kill()
        cls.server.wait()

    def check(self, listener, case):
        host, port = self.proxy.addresses[listener]
        command = [PROGRAMS / "grpc_interop_client", f"--server_host={host}", f"--server_port={port}", f"--test_case={case}", *SOAK]
        if listener == "tls":
            command += ["--use_tls", "--use_test_ca", f"--ca_file={self.authority.certificate}", "--server_host_override=localhost"]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CASE_LIMIT_S,
                             env={**os.environ, "GRPC_GO_LOG_SEVERITY_LEVEL": "info"})
        tail = "\n".join(line for line in run.stdout.splitlines() if not re.search(r"INFO: .*\[(core|transport)\]", line))
        self.assertEqual(0, run.returncode, tail[-3000:])


for listener in ("clear", "tls"):
    for case in CASES:
        setattr(GrpcInterop, f"test {listener}: {case}", lambda self, listener=listener, case=case: self.check(listener, case))

if __name__ == "__main__":
    unittest.main()
