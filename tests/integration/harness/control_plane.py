"""A weft-control of a test's own, found at $WEFT_CONTROL_BINARY, with weftctl at $WEFTCTL_BINARY to talk to it."""

import json
import os
import re
import signal
import subprocess
import urllib.request

from tests.integration.harness.proxy import SANITIZER, Output, split_address

LIMIT_S = 60
LISTENING = re.compile(r"xds listening on (\S+), admin listening on (\S+)")


def binary(variable):
    path = os.environ.get(variable)
    if not path:
        raise RuntimeError(f"set {variable} to the path of the program (tools/test does)")
    return path


class ControlPlane:
    """Keeps its objects in a folder and listens on free ports, without TLS and tokens unless it is to be secure. End it by
    stop(), or use it as a context manager, which also fails on a sanitizer's report."""

    def __init__(self, folder, arguments=(), secure=False, xds="127.0.0.1:0"):
        self.folder = folder
        self.socket = os.path.join(folder, "control.sock")
        self.certificate = os.path.join(folder, "xds.crt")
        if not secure:
            arguments = ["--xds-insecure", *arguments]
        self.process = subprocess.Popen([binary("WEFT_CONTROL_BINARY"), "--data-dir", folder, "--xds-address", xds,
                                         "--admin-address", "127.0.0.1:0", *arguments], stderr=subprocess.PIPE)
        self.output = Output(self.process.stderr)
        if not self.output.wait_for(lambda lines: "serves weftctl" in "\n".join(lines) and any(LISTENING.search(line) for line in lines)):
            raise AssertionError("weft-control did not start:\n" + self.output.text())
        self.xds, self.admin = map(split_address, LISTENING.search(self.output.text()).groups())

    def apply(self, *objects, wait=False):
        """Applies objects, given as dictionaries, as one change; with `wait` until every proxy that it concerns has it."""
        text = "\n---\n".join(json.dumps(each) for each in objects)
        command = [binary("WEFTCTL_BINARY"), "--socket", self.socket, "apply", "-f", "-"] + (["--wait"] if wait else [])
        subprocess.run(command, input=text, check=True, capture_output=True, text=True, timeout=LIMIT_S)

    def weftctl(self, *arguments):
        """What it prints; fails if it does not end well."""
        return subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.socket, *arguments], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=LIMIT_S).stdout

    def token(self, *arguments):
        """A new join token's text."""
        return self.weftctl("token", "create", *arguments).strip()

    def workloads(self):
        """State by name, of all that announced themselves."""
        listed = json.loads(self.weftctl("get", "workloads", "-A", "-o", "json"))
        return {each["name"]: each["state"] for each in listed.get("workloads", [])}

    def get_admin(self, path):
        with urllib.request.urlopen("http://%s:%d%s" % (*self.admin, path), timeout=10) as response:
            return response.read().decode()

    def get_json(self, path):
        return json.loads(self.get_admin(path))

    def nodes(self):
        """What /nodes tells: by node id and type, what was sent, acknowledged, refused, is held and due."""
        return {(node["id"], kind): state for node in self.get_json("/nodes") for kind, state in node["types"].items()}

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(LIMIT_S)
        self.output.join()
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop()
        if kind is None and (code or SANITIZER.search(self.output.text())):
            raise AssertionError(f"weft-control ended with {code}:\n" + self.output.text()[-8000:])
