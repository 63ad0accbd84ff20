"""Where a process listens that chooses a port and does not say it."""

import os
import pathlib
import threading
import time

LIMIT_S = 20
LISTEN = "0A"


def process_ports(process):
    """The TCP ports on which a process listens, once there is one."""
    deadline = time.monotonic() + LIMIT_S
    pause = threading.Event()
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the process ended with {process.returncode} before it listened")
        inodes = set()
        for link in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        ports = []
        for table in ("tcp", "tcp6"):
            for line in pathlib.Path(f"/proc/{process.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and fields[9] in inodes:
                    ports.append(int(fields[1].split(":")[1], 16))
        if ports:
            return sorted(ports)
        pause.wait(0.02)
    raise AssertionError(f"the process does not listen after {LIMIT_S} s")
