"""What one proxy process is asked to be: ports, protocols, TLS, sizes. Every peer's configuration is made from this."""

import os
from dataclasses import dataclass, field

from .process import free_port


def route_prefix(number):
    """The path prefix of a route of the 1,000-route scenario."""
    return "/service-%04d/" % number


@dataclass
class Setup:
    folder: str
    upstream_port: int
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    downstream_tls: str = ""  # "", "server" (the proxy's certificate only), "mutual"
    upstream: str = "h1"  # h1, h2
    upstream_tls: bool = False  # mutual
    certificates: object = None
    routes: int = 1
    clusters: int = 1
    policies: int = 0  # of access, of which the last lets the client in; and every hop is measured with both identities
    log: bool = True

    def __post_init__(self):
        os.makedirs(self.folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)
