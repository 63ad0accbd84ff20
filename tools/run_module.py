"""Runs one Python test module: `run_module.py MODULE REPORT`. Writes {"passed": n, "failed": n} to REPORT; what failed goes
to the standard output, and nothing else does."""

import json
import os
import pathlib
import sys
import unittest


class Result(unittest.TextTestResult):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main(module, report):
    sys.path[:0] = [os.getcwd()]
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=0).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A module without a single case is a mistake, not a success.
    counts = {"passed": result.passed, "failed": failed or (0 if result.testsRun else 1)}
    pathlib.Path(report).write_text(json.dumps(counts))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
