#!/bin/sh
# The bench's own unit tests: parsers, medians, reports. Starts no proxy.
cd "$(dirname "$0")/.." && exec python3 -B -m unittest bench.bench_test bench.control_report_test
