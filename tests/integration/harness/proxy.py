"""Starts the proxy under test with a bootstrap, tells where it listens, and stops it.

The proxy is weft-proxy, found at $WEFT_PROXY, or with WEFT_PROXY_UNDER_TEST=envoy the real Envoy, so that every suite can
also say what Envoy does."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

START_LIMIT_S = 30
STOP_LIMIT_S = 20
LISTENING = re.compile(r"listener (\S+) listening on (\S+)")
ADMIN_LISTENING = re.compile(r"admin listening on (\S+)")
SANITIZER = re.compile(r"ERROR: (?:Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def under_test():
    return os.environ.get("WEFT_PROXY_UNDER_TEST", "weft")


def weft_binary():
    path = os.environ.get("WEFT_PROXY")
    if not path:
        raise RuntimeError("set WEFT_PROXY to the path of weft-proxy (tools/test does)")
    return path


def envoy_binary():
    path = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft")) / "venv/bin/envoy"
    return str(path)


def split_address(text):
    """`127.0.0.1:80`, `[::1]:80` as (host, port); a Unix path as it is."""
    match = re.fullmatch(r"\[?(.*?)\]?:(\d+)", text)
    return (match.group(1), int(match.group(2))) if match else text


class Output:
    """Reads a process's output on a thread of its own; a test can wait for a line of it."""

    def __init__(self, stream):
        self._stream = stream
        self._lines = []
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._stream:
            with self._changed:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def lines(self):
        with self._changed:
            return list(self._lines)

    def text(self):
        return "\n".join(self.lines())

    def wait_for(self, condition, limit_s=START_LIMIT_S):
        """Waits until condition(lines) is true; false when the output ended or the time is up without it."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._lines) or self._closed, limit_s) and bool(condition(self._lines))

    def join(self):
        self._thread.join(STOP_LIMIT_S)


class Proxy:
    """One proxy process. Use as a context manager; leaving it stops the process and fails on a sanitizer's report."""

    def __init__(self, bootstrap, kind=None, concurrency=1, arguments=(), environment=None):
        self.kind = kind or under_test()
        self.addresses = {}
        self.admin = None
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="weft-test-"))
        config = self._folder / "bootstrap.yaml"
        config.write_text(json.dumps(bootstrap, indent=1))
        binary = envoy_binary() if self.kind == "envoy" else weft_binary()
        command = [binary, "-c", str(config), "--concurrency", str(concurrency)]
        if self.kind == "envoy":
            command += ["--disable-hot-restart", "-l", "warning", "--admin-address-path", str(self._folder / "admin")]
        self.process = subprocess.Popen(command + list(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
        self.output = Output(self.process.stdout)
        names = [entry.get("name", "") for entry in bootstrap["static_resources"]["listeners"]]
        try:
            if self.kind == "envoy":
                self._await_envoy(names)
            else:
                self._await_weft(names)
        except BaseException:
            self.kill()
            raise

    def _await_weft(self, names):
        def found(lines):
            text = "\n".join(lines)
            return ADMIN_LISTENING.search(text) and set(names) <= {m.group(1) for m in LISTENING.finditer(text)}

        if not self.output.wait_for(found):
            raise AssertionError("weft-proxy did not say that it listens:\n" + self.output.text())
        text = self.output.text()
        self.addresses = {m.group(1): split_address(m.group(2)) for m in LISTENING.finditer(text)}
        self.admin = split_address(ADMIN_LISTENING.search(text).group(1))

    def _await_envoy(self, names):
        deadline = time.monotonic() + START_LIMIT_S
        pause = threading.Event()
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.admin = split_address((self._folder / "admin").read_text().strip())
                if isinstance(self.admin, tuple) and self.get_admin("/ready").strip() == "LIVE":
                    statuses = json.loads(self.get_admin("/listeners?format=json")).get("listener_statuses", [])
                    for status in statuses:
                        where = status["local_address"].get("socket_address")
                        self.addresses[status["name"]] = (where["address"], where["port_value"]) if where else status["local_address"]["pipe"]["path"]
                    if set(names) <= set(self.addresses):
                        return
            except (OSError, ValueError):
                pass
            pause.wait(0.02)
        raise AssertionError("envoy did not start:\n" + self.output.text())

    def await_listener(self, name):
        """The address of a listener that may come only now, by the newest word of it."""
        def addresses(lines):
            return [m.group(2) for m in LISTENING.finditer("\n".join(lines)) if m.group(1) == name]

        if not self.output.wait_for(addresses):
            raise AssertionError(f"listener {name} did not come:\n" + self.output.text())
        self.addresses[name] = split_address(addresses(self.output.lines())[-1])
        return self.addresses[name]

    def wait_until_refusing(self, listener, limit_s=STOP_LIMIT_S):
        """Waits until the listener takes no new connection; says whether that came to be."""
        pause = threading.Event()
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                socket.create_connection(self.addresses[listener], 1).close()
            except OSError:
                return True
            pause.wait(0.01)
        return False

    def get_admin(self, path, method="GET"):
        request = urllib.request.Request(f"http://{self.admin[0]}:{self.admin[1]}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode()

    def counter(self, name):
        """The value of one metric in /stats, 0 when it is not there yet."""
        for line in self.get_admin("/stats").splitlines():
            if line.startswith(name + ": "):
                return int(line.split(": ")[1])
        return 0

    def stop(self):
        """Ends the process by SIGTERM; its exit code. Fails when it does not end, or when a sanitizer complained."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            # The second one ends what is still draining at once.
            for _ in range(2):
                try:
                    self.process.wait(STOP_LIMIT_S / 2)
                    break
                except subprocess.TimeoutExpired:
                    self.process.send_signal(signal.SIGTERM)
        ended = self.process.poll() is not None
        self.kill()
        text = self.output.text()
        if SANITIZER.search(text):
            raise AssertionError("a sanitizer complained:\n" + text[-8000:])
        if not ended:
            raise AssertionError(f"the proxy did not end on SIGTERM within {STOP_LIMIT_S} s:\n" + text[-4000:])
        if self.kind == "weft" and self.process.returncode != 0:
            raise AssertionError(f"weft-proxy ended with {self.process.returncode}:\n" + text[-4000:])
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.join()
        self.process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()
