#!/bin/sh
# The bench's own unit tests: parsers, medians, reports. Starts no proxy.
cd "$(dirname "$0")/.." && exec python3 -B -m unittest discover --start-directory bench --top-level-directory . --pattern '*_test.py'
