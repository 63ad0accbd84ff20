"""tools/test counts what ran and never calls a failure a success."""

import contextlib
import io
import unittest

import run_tests


class CountLog(unittest.TestCase):
    def test_cases_of_a_log_that_passed(self):
        self.assertEqual((12, 0), run_tests.count_log("=====\nAll tests passed (45 assertions in 12 test cases)\n", True))
        self.assertEqual((1, 0), run_tests.count_log("All tests passed (1 assertion in 1 test case)\n", True))

    def test_cases_of_a_log_that_failed(self):
        log = "test cases: 10 | 7 passed | 3 failed\nassertions: 20 | 17 passed | 3 failed\n"
        self.assertEqual((7, 3), run_tests.count_log(log, False))

    def test_a_target_that_failed_is_never_counted_as_passed(self):
        # A sanitizer's report after the last case: Catch2 was content, the process was not.
        self.assertEqual((0, 1), run_tests.count_log("All tests passed (4 assertions in 2 test cases)\n==1==ERROR: LeakSanitizer\n", False))
        self.assertEqual((0, 1), run_tests.count_log("", False))

    def test_a_log_without_a_summary_is_one_case(self):
        self.assertEqual((1, 0), run_tests.count_log("7 inputs replayed\n", True))


class Closing(unittest.TestCase):
    def close(self, *counts):
        tally, out = run_tests.Tally(), io.StringIO()
        with contextlib.redirect_stdout(out):
            for passed, failed in counts:
                tally.add("x", passed, failed)
            code = tally.close()
        return code, out.getvalue().splitlines()[-1]

    def test_the_last_line_and_the_exit_code_agree(self):
        self.assertEqual((0, "5 passed, 0 failed"), self.close((2, 0), (3, 0)))
        self.assertEqual((1, "5 passed, 1 failed"), self.close((2, 1), (3, 0)))

    def test_no_test_at_all_is_a_failure(self):
        self.assertEqual((1, "0 passed, 0 failed"), self.close())


if __name__ == "__main__":
    unittest.main()
