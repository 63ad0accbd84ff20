"""A `weft-proxy sidecar` of a test's own, next to an application that the test plays."""

import os
import signal
import subprocess
import urllib.request

from tests.integration.harness import http1
from tests.integration.harness.proxy import ADMIN_LISTENING, SANITIZER, Output, split_address, weft_binary
from tools.demos.ports import free_ports

STOP_LIMIT_S = 30


class Sidecar:
    """Joins `control` (a ControlPlane) by a token, if one is given, as a replica of a service whose application listens on
    app_port. As a context manager it is ended by SIGTERM, and fails on a sanitizer's report."""

    def __init__(self, control, service, app_port, token=None, name=None, arguments=()):
        self.inbound_port, self.outbound_port = free_ports(2)
        self.name = name or f"{service}-{self.inbound_port}"
        command = [weft_binary(), "sidecar", "--control", "%s:%d" % control.xds, "--namespace", "shop", "--service", service, "--app-port",
                   str(app_port), "--inbound-address", "127.0.0.1", "--inbound-port", str(self.inbound_port), "--outbound-port",
                   str(self.outbound_port), "--admin-address", "127.0.0.1:0", "--concurrency", "1", "--node-id", self.name, *arguments]
        environment = {**os.environ, "WEFT_TOKEN": token} if token else os.environ
        if not token:
            command.append("--insecure")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        self.output = Output(self.process.stdout)

    def admin(self):
        """Where its administration listens, once it serves."""
        if not self.output.wait_for(lambda lines: ADMIN_LISTENING.search("\n".join(lines))):
            raise AssertionError("the sidecar does not serve:\n" + self.output.text())
        return split_address(ADMIN_LISTENING.search(self.output.text()).group(1))

    def get(self, host, path="/", fields=""):
        """(status, body) of a GET that the application sends through its sidecar; None if there was no answer."""
        try:
            with http1.Client(("127.0.0.1", self.outbound_port)) as client:
                client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode())
                response = client.response()
                return response.status, response.body.decode()
        except (OSError, http1.Malformed, http1.Truncated):
            return None

    def metric(self, name):
        """The value of one in /stats; 0 when it is not there yet."""
        if not self.output.wait_for(lambda lines: ADMIN_LISTENING.search("\n".join(lines))):
            raise AssertionError("the sidecar does not say where its administration listens:\n" + self.output.text())
        admin = ADMIN_LISTENING.search(self.output.text()).group(1)
        with urllib.request.urlopen(f"http://{admin}/stats?filter=^{name}$", timeout=10) as response:
            lines = response.read().decode().split()
        return int(lines[1]) if lines else 0

    def stop(self, how=signal.SIGTERM):
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(STOP_LIMIT_S)
        self.output.join()
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.stdout.closed:
            return
        code = self.stop(signal.SIGTERM if kind is None else signal.SIGKILL)
        if kind is None and (code or SANITIZER.search(self.output.text())):
            raise AssertionError(f"the sidecar ended with {code}:\n" + self.output.text()[-8000:])
