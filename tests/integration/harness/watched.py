"""Configuration in watched files: what is written takes the old file's place by a rename."""

import json
import os
import pathlib
import shutil
import tempfile

from tests.integration.harness import bootstrap

TYPES = {
    "cluster": bootstrap.TYPE + "envoy.config.cluster.v3.Cluster",
    "routes": bootstrap.TYPE + "envoy.config.route.v3.RouteConfiguration",
    "listener": bootstrap.TYPE + "envoy.config.listener.v3.Listener",
    "secret": bootstrap.TYPE + "envoy.extensions.transport_sockets.tls.v3.Secret",
    "endpoints": bootstrap.TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment",
}


class Folder:
    """A folder of files, one for each kind of resource. Use as a context manager."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="weft-watched-"))
        self._version = 0

    def source(self, kind):
        """The ConfigSource of the file."""
        return {"path_config_source": {"path": str(self.path / f"{kind}.yaml")}, "resource_api_version": "V3"}

    def write(self, kind, resources):
        self._version += 1
        resources = [{"@type": TYPES[kind], **resource} for resource in resources]
        self.write_text(kind, json.dumps({"version_info": str(self._version), "resources": resources}, indent=1))

    def write_text(self, kind, text):
        fresh = self.path / f".{kind}.new"
        fresh.write_text(text)
        os.replace(fresh, self.path / f"{kind}.yaml")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def assignment(name, *endpoints):
    """A ClusterLoadAssignment of (host, port) pairs."""
    hosts = [{"endpoint": {"address": bootstrap.address(*endpoint)}} for endpoint in endpoints]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]}


def discovered(name, source, **more):
    """A cluster whose endpoints come from `source`."""
    return {"name": name, "type": "EDS", "connect_timeout": "2s", "eds_cluster_config": {"eds_config": source}, **more}
