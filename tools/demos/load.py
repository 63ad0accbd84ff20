"""Callers that ask a URL many times a second until SIGTERM, and then what became of it, as JSON.

    load.py URL CALLERS
"""

import http.client
import json
import signal
import sys
import threading
import time
import urllib.parse

CALL_LIMIT_S = 10
# The services make a connection for each call, and the kernel keeps the port of one that has ended for a minute: more than
# 28,000 a minute from one pod to one address, and there is no port left.
CALLS_PER_SECOND = 300


class Callers:
    def __init__(self, url, count):
        self._url = urllib.parse.urlsplit(url)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._pause_s = count / CALLS_PER_SECOND
        self.result = {"answered": 0, "failed": 0, "last_failure": ""}
        self._threads = [threading.Thread(target=self._call) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _call(self):
        client = None
        due = time.monotonic()
        while not self._over.wait(max(0, due - time.monotonic())):
            due = max(due + self._pause_s, time.monotonic())
            failure = ""
            try:
                client = client or http.client.HTTPConnection(self._url.hostname, self._url.port, timeout=CALL_LIMIT_S)
                client.request("GET", self._url.path or "/")
                answer = client.getresponse()
                text = " ".join(answer.read().decode(errors="replace").split())
                if answer.status != 200:
                    failure = f"status {answer.status}: {text}"
            except (OSError, http.client.HTTPException) as error:
                failure, client = f"{type(error).__name__}: {error}", None
            with self._lock:
                self.result["answered"] += not failure
                self.result["failed"] += bool(failure)
                self.result["last_failure"] = failure or self.result["last_failure"]

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    callers = Callers(sys.argv[1], int(sys.argv[2]))
    print("calling", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    callers.stop()
    print(json.dumps(callers.result), flush=True)
