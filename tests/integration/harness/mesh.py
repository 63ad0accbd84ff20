"""Workloads of a mesh: a little service as a process, and a sidecar next to it."""

import contextlib
import pathlib
import subprocess
import sys

from tests.integration.harness import http1
from tests.integration.harness.proxy import Output
from tests.integration.harness.sidecar import Sidecar
from tools.demos.ports import free_port

SERVICE = pathlib.Path(__file__).resolve().parents[3] / "tools/demos/service.py"


def service(name, port=80, protocol="http"):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"name": "main", "port": port, "appProtocol": protocol}]}}


def split(name, port=80, **weights):
    """The HTTPRoute of a service that sends its requests on to others, by their weights."""
    backends = [{"name": backend.replace("_", "-"), "port": port, "weight": weight} for backend, weight in weights.items()]
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": name}], "rules": [{"backendRefs": backends}]}}


class App:
    """tools/demos/service.py: says its name, and what the service answers that it calls through its sidecar's outbound port."""

    def __init__(self, name, port, calls=None, outbound_port=0):
        command = [sys.executable, "-B", str(SERVICE), name, f"127.0.0.1:{port}"] + ([calls, str(outbound_port)] if calls else [])
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = Output(self.process.stdout)
        if not self.output.wait_for(lambda lines: any("listening on" in line for line in lines)):
            self.stop()
            raise AssertionError("the service did not start:\n" + self.output.text())

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.output.join()
        self.process.stdout.close()


class Workload:
    """An App and its Sidecar, as a context manager. `control` has the address of its discovery as `xds`."""

    def __init__(self, name, control, token, calls=None, arguments=()):
        app_port = free_port()
        with contextlib.ExitStack() as stack:
            self.sidecar = stack.enter_context(Sidecar(control, name, app_port, token, arguments=arguments))
            stack.callback(App(name, app_port, calls, self.sidecar.outbound_port).stop)
            self._stack = stack.pop_all()
        self.inbound = ("127.0.0.1", self.sidecar.inbound_port)

    def ask(self, client=None):
        """(status, body) of a GET / from outside; None without an answer. A client is kept by whoever gives one."""
        try:
            if client is None:
                with http1.Client(self.inbound) as own:
                    return self.ask(own)
            client.send(b"GET / HTTP/1.1\r\nHost: any\r\n\r\n")
            response = client.response()
            return response.status, response.body.decode().strip()
        except (OSError, http1.Malformed, http1.Truncated):
            return None

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        return self._stack.__exit__(*failure)
