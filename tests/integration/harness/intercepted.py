"""Pods whose connections are brought to a sidecar by rules of the kernel, with Istio's ports and conventions."""

import json
import os
import signal
import subprocess
import urllib.request

from tests.integration.harness.proxy import SANITIZER, Output, weft_binary

OUTBOUND, INBOUND, ADMIN = 15001, 15006, 15000
# The group by which the rules know the sidecar: it runs as root, whose files others may not read.
GROUP = 1337
STOP_LIMIT_S = 20


def intercept(pod, tproxy=False):
    """Sets the rules in a pod."""
    pod.run(weft_binary(), "intercept", "--mode", "tproxy" if tproxy else "redirect")


class Sidecar:
    """In a pod, from the start to the end of a `with`. `app_port`: None for one that only calls. `probes`: what the platform asks."""

    def __init__(self, pod, control, token, service=None, app_port=None, arguments=(), probes=None):
        self.pod = pod
        command = ["setpriv", "--regid", str(GROUP), "--clear-groups", weft_binary(), "sidecar", "--control", "%s:%d" % control,
                   "--namespace", "shop", "--inbound-address", pod.ipv4] if app_port else [
                   "setpriv", "--regid", str(GROUP), "--clear-groups", weft_binary(), "sidecar", "--control", "%s:%d" % control,
                   "--namespace", "shop"]
        if app_port:
            command += ["--service", service, "--app-port", str(app_port)]
        command += ["--interception", "--concurrency", "1", "--node-id", pod.name, *arguments]
        self.process = pod.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "WEFT_TOKEN": token, "WEFT_APP_PROBES": json.dumps(probes or {})})
        self.output = Output(self.process.stdout)
        if not self.output.wait_for(lambda lines: any("listener captured listening on" in line for line in lines) and
                                    any("listener inbound listening on" in line for line in lines)):
            raise AssertionError(f"the sidecar of {pod.name} does not listen:\n" + self.output.text())

    def admin(self, path):
        with self.pod.inside(), urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}{path}", timeout=10) as response:
            return response.read().decode()

    def stat(self, name):
        """The sum of all metrics whose names end so."""
        lines = (line.rpartition(": ") for line in self.admin("/stats").splitlines())
        return sum(int(value) for found, _, value in lines if found.endswith(name) and value.isdigit())

    def listeners(self):
        """By name, what was taken of the control plane."""
        for config in json.loads(self.admin("/config_dump"))["configs"]:
            if config["@type"].endswith("ListenersConfigDump"):
                return {each["name"]: each["active_state"]["listener"] for each in config.get("dynamic_listeners", [])}
        return {}

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM if kind is None else signal.SIGKILL)
        code = self.process.wait(STOP_LIMIT_S)
        self.output.join()
        if kind is None and (code or SANITIZER.search(self.output.text())):
            raise AssertionError(f"the sidecar of {self.pod.name} ended with {code}:\n" + self.output.text()[-8000:])

