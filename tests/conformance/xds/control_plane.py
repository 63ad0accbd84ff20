"""Other people's control plane: go-control-plane's server (tests/conformance/peers/xds_server), as a process that a test
tells what to serve."""

import json
import os
import pathlib
import subprocess

from tests.integration.harness.proxy import Output

PROGRAM = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft")) / "bin/xds_server"
STOP_LIMIT_S = 20


class Lines:
    """A process that writes one JSON object a line and ends with its standard input."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.output = Output(self.process.stdout)
        self.errors = Output(self.process.stderr)

    @staticmethod
    def _parse(lines):
        return [json.loads(line) for line in lines]

    def events(self):
        return self._parse(self.output.lines())

    def wait_for(self, condition, what, limit_s=30):
        """The first event that meets the condition; fails when none comes."""
        if not self.output.wait_for(lambda lines: any(condition(each) for each in self._parse(lines)), limit_s):
            raise AssertionError(f"no event {what}:\n{self.output.text()}\n{self.errors.text()}")
        return next(each for each in self.events() if condition(each))

    def send(self, command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def stop(self):
        """Ends the process; its exit code."""
        self.process.stdin.close()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for output in (self.output, self.errors):
            output.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.returncode


class ControlPlane(Lines):
    def __init__(self):
        super().__init__([PROGRAM])
        self.port = int(self.wait_for(lambda e: "listening" in e, "listening")["listening"].rsplit(":", 1)[1])

    def serve(self, version, **resources):
        """The whole of what it serves from now on: clusters=[…], endpoints=, listeners=, routes=, secrets=."""
        self.send({"snapshot": {"version": version, **resources}})

    def cut(self):
        self.send({"stop": True})
        self.wait_for(lambda e: "stopped" in e, "stopped")

    def come_back(self):
        self.send({"start": True})

    def requests(self, kind=None):
        """All requests so far, or those whose type ends in `kind`."""
        return [e for e in self.events() if "request" in e and e["type"].endswith(kind or "")]

    def await_request(self, condition, what):
        return self.wait_for(lambda e: "request" in e and condition(e), what)
