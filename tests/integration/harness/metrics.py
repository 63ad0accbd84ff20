"""Metrics of a proxy as Prometheus' own reader finds them."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.harness.live import eventually


class Metrics:
    """What /stats/prometheus at an address tells now."""

    def __init__(self, address):
        with urllib.request.urlopen("http://%s:%d/stats/prometheus" % address, timeout=10) as response:
            self.text = response.read().decode()
        self.families = {family.name: family for family in text_string_to_metric_families(self.text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    @classmethod
    def once(cls, address, count, name, **labels):
        """What is told once the total is `count`, for a client has its answer before that is counted; else what was told last."""
        told = []

        def is_so():
            told[:] = [cls(address)]
            return told[0].total(name, **labels) == count

        eventually(is_so)
        return told[0]

    def find(self, name, **labels):
        """The samples of this name with these labels."""
        return [each for each in self.samples if each.name == name and labels.items() <= each.labels.items()]

    def total(self, name, **labels):
        return sum(each.value for each in self.find(name, **labels))

    def labels(self, name, **labels):
        """Those of the only sample."""
        found = self.find(name, **labels)
        if len(found) != 1:
            raise AssertionError(f"expected one {name} with {labels}, found {[each.labels for each in found]}")
        return found[0].labels
