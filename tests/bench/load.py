"""The clients: runs h2load and wrk pinned to their core, parses what they say, and checks every answer."""

import re
import socket
import subprocess
import time
from dataclasses import dataclass

from .process import BenchError, pinned


@dataclass(frozen=True)
class LoadResult:
    """One run. Latencies in microseconds; `failed` counts whatever was not a 200 with the whole body."""

    requests: int
    failed: int
    seconds: float
    p50_us: float
    p99_us: float
    complaint: str = ""


def percentile(ordered, fraction):
    """The value at `fraction` (0..1) of a sorted list, by the nearest rank. 0 of an empty list."""
    if not ordered:
        return 0.0
    rank = max(0, min(len(ordered) - 1, int(fraction * len(ordered) + 0.999999) - 1))
    return float(ordered[rank])


def median(values):
    """The middle value, the mean of the two middle ones for an even count. 0 of none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


# - h2load


def parse_h2load_log(text):
    """h2load's --log-file: start (us), status, duration (us) per line. Returns (sorted durations, count not 200)."""
    durations = []
    failed = 0
    for line in text.splitlines():
        _, status, duration = line.split("\t")[:3]
        if status == "200":
            durations.append(int(duration))
        else:
            failed += 1
    durations.sort()
    return durations, failed


def parse_h2load(text):
    """h2load's summary: a dict of total, done, succeeded, failed, errored, timeout, data_bytes, seconds."""
    counts = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, "
                       r"(\d+) errored, (\d+) timeout", text)
    finished = re.search(r"finished in ([\d.]+)(us|ms|s|m)\b", text)
    data = re.search(r"\((\d+)\) data", text)
    if not (counts and finished and data):
        raise BenchError("h2load said what the bench does not understand:\n" + text[-2000:])
    names = ("total", "started", "done", "succeeded", "failed", "errored", "timeout")
    summary = dict(zip(names, (int(group) for group in counts.groups())))
    summary["data_bytes"] = int(data.group(1))
    summary["seconds"] = float(finished.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[finished.group(2)]
    return summary


def judge_h2load(summary, requests, body_bytes):
    """(failed, complaint) of a run that had to have `requests` whole answers."""
    failed = requests - summary["succeeded"]
    if failed:
        return failed, "%d of %d requests failed" % (failed, requests)
    if summary["data_bytes"] != requests * body_bytes:
        return requests, "%d body bytes came, not %d" % (summary["data_bytes"], requests * body_bytes)
    return 0, ""


def h2load(urls, core, log_path, downstream, clients, streams, requests, body_bytes, rate_per_s=0):
    """One run of h2load. `urls` beyond the first are sent in turn. With a rate, `requests` are offered at that rate."""
    requests = max(clients, requests // clients * clients)
    argv = ["h2load", "-t1", "-c%d" % clients, "-m%d" % streams, "-n%d" % requests, "--log-file=" + log_path]
    if downstream == "h1":
        argv.append("--h1")
    if rate_per_s:
        argv.append("--rps=%g" % (rate_per_s / clients))
    open(log_path, "w").close()
    run = subprocess.run(pinned(core, argv + list(urls)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=120, text=True)
    if run.returncode != 0:
        raise BenchError("h2load ended with %d:\n%s" % (run.returncode, run.stdout[-2000:]))
    summary = parse_h2load(run.stdout)
    with open(log_path) as file:
        durations, not_200 = parse_h2load_log(file.read())
    failed, complaint = judge_h2load(summary, requests, body_bytes)
    if not failed and (not_200 or len(durations) != requests):
        failed, complaint = requests - len(durations), "%d answers were not 200" % not_200
    return LoadResult(requests, failed, summary["seconds"], percentile(durations, 0.5), percentile(durations, 0.99),
                      complaint)


# - wrk


def parse_duration_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def parse_wrk(text):
    """wrk's summary with --latency, as a LoadResult."""
    requests = re.search(r"(\d+) requests in ([\d.]+(?:us|ms|s|m)),", text)
    p50 = re.search(r"^\s+50%\s+(\S+)$", text, re.M)
    p99 = re.search(r"^\s+99%\s+(\S+)$", text, re.M)
    if not (requests and p50 and p99):
        raise BenchError("wrk said what the bench does not understand:\n" + text[-2000:])
    failed = 0
    complaints = []
    not_2xx = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if not_2xx:
        failed += int(not_2xx.group(1))
        complaints.append("%s answers were not 2xx" % not_2xx.group(1))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    if errors:
        failed += sum(int(group) for group in errors.groups())
        complaints.append(errors.group(0))
    return LoadResult(int(requests.group(1)), failed, parse_duration_us(requests.group(2)) / 1e6,
                      parse_duration_us(p50.group(1)), parse_duration_us(p99.group(1)), "; ".join(complaints))


def wrk_churn(url, core, clients, seconds):
    """One run of wrk with a new connection for each request."""
    argv = ["wrk", "-t1", "-c%d" % clients, "-d%ds" % seconds, "--latency", "-H", "Connection: close", url]
    run = subprocess.run(pinned(core, argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=60, text=True)
    if run.returncode != 0:
        raise BenchError("wrk ended with %d:\n%s" % (run.returncode, run.stdout[-2000:]))
    return parse_wrk(run.stdout)


# - Idle connections


class IdleConnections:
    """Many connections from this process to one port, that can each send one request and then rest."""

    def __init__(self, port, count):
        self._sockets = []
        try:
            for _ in range(count):
                connection = socket.socket()
                self._sockets.append(connection)
                connection.settimeout(10)
                connection.connect(("127.0.0.1", port))
        except OSError as error:
            self.close()
            raise BenchError("connection %d of %d: %s" % (len(self._sockets), count, error)) from error

    def request_on_each(self, path, body_bytes):
        """A GET on each connection, in turn. Returns how many did not get their answer whole."""
        request = ("GET %s HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\n\r\n" % path).encode()
        failed = 0
        for connection in self._sockets:
            try:
                connection.sendall(request)
                failed += not whole_answer(connection, body_bytes)
            except OSError:
                failed += 1
        return failed

    def close(self):
        for connection in self._sockets:
            connection.close()
        self._sockets = []


def whole_answer(connection, body_bytes):
    """Reads one answer; true when it is a 200 with a body of that size."""
    received = b""
    while True:
        head, found, body = received.partition(b"\r\n\r\n")
        if found and len(body) >= body_bytes:
            return head.startswith(b"HTTP/1.1 200 ") and len(body) == body_bytes
        if found and not head.startswith(b"HTTP/1.1 200 "):
            return False
        more = connection.recv(65536)
        if not more:
            return False
        received += more


def settled(read, tolerance, seconds=8):
    """Polls `read()` until it has moved by no more than `tolerance` for half a second; returns the last value."""
    deadline = time.monotonic() + seconds
    last, since = read(), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < 0.5:
        time.sleep(0.05)
        now = read()
        if abs(now - last) > tolerance:
            last, since = now, time.monotonic()
    return read()
