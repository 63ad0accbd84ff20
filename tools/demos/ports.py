"""Ports of loopback for processes that must be told one.

A port that was free a moment ago may be taken when the process comes to listen: by the outgoing connection of somebody, whose
port the kernel picks, or by another program that asked as we did. So these lie below those that the kernel picks from, and each
is claimed, by a lock of a file that lasts as long as this program does.
"""

import fcntl
import os
import pathlib
import random
import socket
import tempfile

CLAIMS = pathlib.Path(tempfile.gettempdir()) / f"weft-ports-{os.getuid()}"
FIRST = 10_000
TRIES = 1_000
_claimed = []  # Open files, which hold the locks.


def _claim(port):
    CLAIMS.mkdir(exist_ok=True)
    file = open(CLAIMS / str(port), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        file.close()
        return False
    _claimed.append(file)
    return True


def free_ports(count):
    """Different ports of loopback on which nobody listens, and which nobody else is given while this program runs."""
    ephemeral = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = []
    for _ in range(TRIES):
        if len(found) == count:
            return found
        port = random.randrange(FIRST, ephemeral)
        if _claim(port):
            found.append(port)
    raise RuntimeError(f"no {count} free ports of loopback from {FIRST} to {ephemeral}")


def free_port():
    return free_ports(1)[0]
