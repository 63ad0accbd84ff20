"""What both tours need: the programs, processes that end with the tour, ports, and steps that are printed and checked."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_LIMIT_S = 30
STEP_LIMIT_S = 60
STOP_LIMIT_S = 10
TARGETS = {"WEFT_PROXY": "//proxy:weft-proxy", "WEFT_CONTROL_BINARY": "//control-plane:weft-control", "WEFTCTL_BINARY": "//tools/weftctl:weftctl"}

# The canary of both meshes.
SPLIT = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: prices, namespace: shop }}
spec:
  parentRefs: [{{ group: "", kind: Service, name: prices }}]
  rules:
  - backendRefs: [{{ name: prices-v1, port: 80, weight: {v1} }}, {{ name: prices-v2, port: 80, weight: {v2} }}]
"""


def programs(variables):
    """Paths of the programs: those that the environment names, the others built in the release configuration."""
    found = {variable: os.environ[variable] for variable in variables if os.environ.get(variable)}
    missing = [TARGETS[variable] for variable in variables if variable not in found]
    if missing:
        print("building " + " ".join(missing), flush=True)
        subprocess.run([ROOT / "tools/setup"], check=True)
        subprocess.run(["bazel", "build", "--config=release", *missing], cwd=ROOT, check=True)
        info = subprocess.run(["bazel", "info", "--config=release", "bazel-bin"], cwd=ROOT, check=True, capture_output=True, text=True)
        for variable in variables:
            found.setdefault(variable, info.stdout.strip() + "/" + TARGETS[variable][2:].replace(":", "/"))
    return [found[variable] for variable in variables]


class Process:
    """A program that runs until stop(). `awaited` are patterns of lines that it prints at its start; `found` has their
    first groups, in the same order. Ends this program, with what it said, when they do not come."""

    def __init__(self, command, awaited, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, **(environment or {})})
        said, waiting = [], dict(enumerate(awaited))
        found = {}
        watchdog = threading.Timer(START_LIMIT_S, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            said.append(line)
            for number, pattern in list(waiting.items()):
                if match := re.search(pattern, line):
                    found[number] = match.group(1)
                    del waiting[number]
            if not waiting:
                break
        watchdog.cancel()
        if waiting:
            self.stop()
            sys.exit(f"{command[0]} did not start:\n" + "".join(said))
        self.found = [found[number] for number in range(len(awaited))]
        # Whatever else it says is read, so that it never waits for us.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Tour:
    """Steps, each a command as a person would type it; `failed` counts those whose output was not what was promised."""

    def __init__(self, environment=None):
        self.failed = 0
        self._environment = {**os.environ, **(environment or {})}

    def say(self, title):
        print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}", flush=True)

    def step(self, title, command, expected=()):
        """Runs the command; its output must match each of the patterns, and its exit code be 0 if there are none."""
        self.say(title)
        print(f"$ {command}", flush=True)
        run = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=STEP_LIMIT_S, env=self._environment)
        print(run.stdout.rstrip(), flush=True)
        wrong = [f"expected {pattern}" for pattern in expected if not re.search(pattern, run.stdout, re.M)]
        if not expected and run.returncode:
            wrong = [f"it ended with {run.returncode}"]
        for each in wrong:
            print(f"!! {each}")
        self.failed += len(wrong)
        return run.stdout

    def judge(self, load):
        """Prints what became of the requests of a load (load.py); none may have failed."""
        print(f"  {load['answered']} requests were answered, {load['failed']} failed {load['last_failure']}", flush=True)
        self.failed += load["failed"] > 0 or load["answered"] == 0


def stay(options, text, process):
    """Unless once is enough: everything stays up until Ctrl-C, or until this process ends."""
    if options.once:
        return
    print(f"\n{text} - Ctrl-C ends it.", flush=True)
    try:
        process.process.wait()
    except KeyboardInterrupt:
        print()
