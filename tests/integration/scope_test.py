"""What a proxy is told of is what its namespace may see and what is in its scope: shown with the real Envoy."""

import json
import tempfile
import unittest

from tests.conformance.xds_server_test import endpoint, envoy_bootstrap, free_port, get, says, service, split, wait_until
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.proxy import Proxy


def exported(thing, to):
    thing["metadata"]["annotations"] = {"weft.mesh/export-to": to}
    return thing


def scope(namespace, *hosts, services=()):
    return {"apiVersion": "weft.mesh/v1", "kind": "Scope", "metadata": {"name": "scope", "namespace": namespace},
            "spec": {"hosts": list(hosts), "services": list(services)}}


class Scopes(unittest.TestCase):
    def setUp(self):
        self.control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory())))
        self.backends = [self.enterContext(Backend(says(name))) for name in ("cart", "till")]
        self.control.apply(service("cart", 80), service("till", 80), endpoint("cart", self.backends[0].address[1]),
                           endpoint("till", self.backends[1].address[1]))

    def envoy(self, namespace, api_type="DELTA_GRPC", **metadata):
        """An Envoy of a namespace, and its outbound port."""
        port = free_port()
        bootstrap = envoy_bootstrap(self.control, api_type, port)
        bootstrap["node"]["metadata"].update(namespace=namespace, **metadata)
        return self.enterContext(Proxy(bootstrap, kind="envoy")), port

    def clusters(self, proxy):
        """What Envoy has of the mesh's services."""
        dump = json.loads(proxy.get_admin("/config_dump?resource=dynamic_active_clusters"))
        return sorted(name for each in dump.get("configs", []) if (name := each["cluster"]["name"]) != "weft/nowhere")

    def await_clusters(self, proxy, *names):
        wait_until(lambda: self.clusters(proxy) == sorted(names), lambda: f"Envoy has {self.clusters(proxy)}, not {names}")

    def await_answer(self, port, host, expected):
        def answer():
            try:
                return get(port, host)
            except OSError:
                return None

        wait_until(lambda: answer() == expected, lambda: f"{host} answers {answer()}, not {expected}")

    def test_a_service_is_seen_only_where_it_is_exported_to(self):
        shop, _ = self.envoy("shop")
        other, port = self.envoy("other")
        for proxy in (shop, other):
            self.await_clusters(proxy, "shop/cart:80", "shop/till:80")
        self.await_answer(port, "till.shop", (200, "till"))
        self.control.apply(exported(service("till", 80), "."))
        self.await_clusters(other, "shop/cart:80")
        self.await_answer(port, "till.shop", (404, ""))
        self.await_clusters(shop, "shop/cart:80", "shop/till:80")
        self.control.apply(exported(service("till", 80), ".,other"))
        self.await_answer(port, "till.shop", (200, "till"))

    def test_a_split_to_a_service_that_is_not_exported_works_and_lends_no_name(self):
        self.control.apply(exported(service("till", 80), "."))
        other, port = self.envoy("other", "GRPC")
        self.await_clusters(other, "shop/cart:80")
        self.control.apply(split("cart", 80, till=1))
        self.await_answer(port, "cart.shop", (200, "till"))
        self.await_answer(port, "till.shop", (404, ""))

    def test_a_proxy_gets_its_declared_scope_and_what_a_scope_object_leaves_of_it(self):
        declared, port = self.envoy("shop", scope=["cart"])
        plain, _ = self.envoy("shop", "GRPC", service="web")
        self.await_clusters(declared, "shop/cart:80")
        self.await_clusters(plain, "shop/cart:80", "shop/till:80")
        self.await_answer(port, "cart", (200, "cart"))
        self.await_answer(port, "till", (404, ""))
        self.control.apply(scope("shop", "till"))
        self.await_clusters(plain, "shop/till:80")
        self.await_clusters(declared)
        self.control.apply(scope("shop", "*/*", services=["web"]))
        self.await_clusters(plain, "shop/cart:80", "shop/till:80")
        self.await_clusters(declared, "shop/cart:80")
        nodes = self.control.nodes()
        self.assertEqual([], [state["refusals"] for state in nodes.values() if state["refused"]])


if __name__ == "__main__":
    unittest.main()
