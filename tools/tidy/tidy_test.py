"""tools/tidy fails on what it forbids, and only on that."""

import pathlib
import subprocess
import tempfile
import unittest

import tidy


def rules(findings):
    return sorted({f.rule for f in findings})


class Layering(unittest.TestCase):
    def check(self, path, include):
        return rules(tidy.include_findings(path, f'#pragma once\n#include {include}\n'))

    def test_a_folder_includes_what_stands_to_its_left(self):
        self.assertEqual([], self.check("proxy/stream/stream.cc", '"proxy/base/buffer.h"'))
        self.assertEqual([], self.check("proxy/forward/forward.cc", '"proxy/pool/pool.h"'))
        self.assertEqual([], self.check("proxy/main.cc", '"proxy/server/server.h"'))

    def test_a_folder_does_not_include_what_stands_to_its_right(self):
        self.assertEqual(["layering"], self.check("proxy/base/buffer.h", '"proxy/event/loop.h"'))
        self.assertEqual(["layering"], self.check("proxy/filter/filter.h", '"proxy/forward/forward.h"'))
        self.assertEqual(["layering"], self.check("proxy/snapshot/snapshot.h", '"proxy/cluster/cluster.h"'))

    def test_folders_of_one_row_do_not_know_each_other(self):
        self.assertEqual(["layering"], self.check("proxy/forward/a.cc", '"proxy/tcp/b.h"'))
        self.assertEqual(["layering"], self.check("proxy/filter/cors/a.cc", '"proxy/filter/fault/b.h"'))
        self.assertEqual(["layering"], self.check("proxy/http/a.cc", '"proxy/observe/b.h"'))
        self.assertEqual([], self.check("proxy/observe/a.cc", '"proxy/http/b.h"'))

    def test_a_filter_includes_the_filter_interface_and_not_the_reverse(self):
        self.assertEqual([], self.check("proxy/filter/cors/cors.cc", '"proxy/filter/filter.h"'))
        self.assertEqual(["layering"], self.check("proxy/filter/filter.h", '"proxy/filter/cors/cors.h"'))

    def test_a_folder_of_no_row_is_named(self):
        self.assertEqual(["layering"], self.check("proxy/extras/a.cc", '"proxy/base/buffer.h"'))
        self.assertEqual(["layering"], self.check("proxy/server/a.cc", '"proxy/extras/b.h"'))

    def test_the_proxy_and_the_control_plane_meet_only_in_api(self):
        self.assertEqual(["layering"], self.check("proxy/server/a.cc", '"control-plane/xds/b.h"'))
        self.assertEqual(["layering"], self.check("control-plane/xds/a.cc", '"proxy/base/b.h"'))
        self.assertEqual([], self.check("control-plane/xds/a.cc", '"proxy/base/hash.h"'))
        self.assertEqual(["layering"], self.check("api/text/a.cc", '"proxy/base/b.h"'))

    def test_the_control_plane_has_an_order_too(self):
        self.assertEqual([], self.check("control-plane/compile/a.cc", '"control-plane/registry/model.h"'))
        self.assertEqual(["layering"], self.check("control-plane/source/a.cc", '"control-plane/registry/model.h"'))
        self.assertEqual(["layering"], self.check("control-plane/extras/a.cc", '"control-plane/source/object.h"'))

    def test_production_does_not_include_tests(self):
        self.assertEqual(["layering"], self.check("proxy/base/a.cc", '"tests/fake/clock.h"'))

    def test_only_config_and_api_see_protobuf(self):
        self.assertEqual(["protobuf"], self.check("proxy/route/a.cc", '"envoy/config/route/v3/route.pb.h"'))
        self.assertEqual(["protobuf"], self.check("proxy/stream/a.cc", "<google/protobuf/message.h>"))
        self.assertEqual([], self.check("proxy/config/compile/a.cc", '"envoy/config/route/v3/route.pb.h"'))

    def test_what_is_wrapped_is_included_only_by_its_wrapper(self):
        self.assertEqual(["socket"], self.check("proxy/pool/a.cc", "<sys/socket.h>"))
        self.assertEqual(["random"], self.check("proxy/pool/a.cc", "<random>"))
        self.assertEqual([], self.check("tests/proxy/a_test.cc", "<sys/socket.h>"))

    def test_paths_start_at_the_root_and_name_headers(self):
        self.assertEqual(["include"], self.check("proxy/base/a.cc", '"buffer.h"'))
        self.assertEqual(["include"], self.check("proxy/base/a.cc", '"../base/buffer.h"'))
        self.assertEqual(["include"], self.check("proxy/base/a.cc", '"proxy/base/buffer.cc"'))


class BannedCalls(unittest.TestCase):
    def check(self, code, path="proxy/stream/a.cc"):
        return rules(tidy.banned_call_findings(path, code))

    def test_each_banned_call_is_found(self):
        for rule, code in [
            ("clock", "auto t = std::chrono::steady_clock::now();"),
            ("clock", "  clock_gettime(CLOCK_MONOTONIC, &t);"),
            ("clock", "x = time(nullptr);"),
            ("clock", "absl::Now();"),
            ("random", "std::random_device device;"),
            ("random", "int r = rand();"),
            ("random", "RAND_bytes(p, n);"),
            ("socket", "int fd = ::socket(AF_INET, SOCK_STREAM, 0);"),
            ("socket", "return ::connect(fd, a, n);"),
            ("socket", "getsockname(fd, a, &n);"),
            ("output", 'std::cout << "x";'),
            ("output", 'if (bad) printf("x");'),
            ("exit", "  std::abort();"),
            ("exit", "exit(1);"),
            ("exception", "throw std::runtime_error(x);"),
            ("sleep", "std::this_thread::sleep_for(d);"),
            ("sleep", "usleep(10);"),
            ("environment", 'getenv("HOME");'),
            ("unsafe", "sprintf(b, f);"),
        ]:
            with self.subTest(code=code):
                self.assertEqual([rule], self.check(code + "\n"))

    def test_methods_declarations_and_longer_names_are_not_calls(self):
        for code in ["socket_.connect(address);", "client->send(bytes);", "absl::Status connect(const Address& a);", "Clock::time(x);", "base::system_clock();", "abort(cause);", "if (accept(x)) return;",
                     "int start_time();", "void send(std::string_view bytes) {", "transport::listen(x);", "max_time(3);", "virtual void shutdown();"]:
            with self.subTest(code=code):
                self.assertEqual([], self.check(code + "\n"))

    def test_comments_and_strings_are_not_code(self):
        self.assertEqual([], self.check('// exit(1)\n/* throw\n rand() */ auto s = "abort()"; auto r = R"(time(0))";\n'))

    def test_a_character_literal_does_not_hide_what_follows(self):
        self.assertEqual(["exit"], self.check("char c = '\"'; exit(1); // \"\n"))
        self.assertEqual(["exit"], self.check("int n = 1'000; exit(1'0);\n"))

    def test_tests_may_use_sockets_but_not_sleep(self):
        self.assertEqual([], self.check("::socket(1, 2, 3);", "tests/proxy/a_test.cc"))
        self.assertEqual(["sleep"], self.check("usleep(3);", "tests/proxy/a_test.cc"))


class Files(unittest.TestCase):
    def test_a_file_over_the_limit_is_found(self):
        self.assertEqual([], rules(tidy.file_findings("proxy/base/a.cc", "\n" * tidy.MAX_LINES)))
        self.assertEqual(["length"], rules(tidy.file_findings("proxy/base/a.cc", "\n" * (tidy.MAX_LINES + 1))))

    def test_headers_open_with_a_paragraph_and_pragma_once(self):
        self.assertEqual([], rules(tidy.file_findings("proxy/base/a.h", "// What.\n#pragma once\n")))
        self.assertEqual([], rules(tidy.file_findings("proxy/base/a.h", "#pragma once\n#include <string>\n\n// What.\nnamespace a {\n")))
        self.assertEqual(["header"], rules(tidy.file_findings("proxy/base/a.h", "#pragma once\nint x;\n// What.\n\n")))
        self.assertEqual(["header"], rules(tidy.file_findings("proxy/base/a.h", "// What.\n#ifndef A_H\n")))

    def test_names(self):
        self.assertEqual(["name"], rules(tidy.file_findings("proxy/base/BufferPool.cc", "")))
        self.assertEqual(["name"], rules(tidy.file_findings("proxy/base/a.cc", "struct bad_name {\n")))
        self.assertEqual([], rules(tidy.file_findings("proxy/base/a.cc", "struct GoodName : Base {\n")))
        for bad in ["proxy/base/string_util.cc", "proxy/common/a.cc", "proxy/cluster/cluster_manager.h", "tests/helpers.py"]:
            with self.subTest(path=bad):
                self.assertEqual(["name"], rules(tidy.any_file_findings(bad, "")))
        self.assertEqual([], rules(tidy.any_file_findings("proxy/base/utility_bill.cc", "")))

    def test_unfinished_marks_are_found(self):
        self.assertEqual(["unfinished"], rules(tidy.any_file_findings("proxy/base/a.cc", "// TODO: more\n")))

    def test_links_lead_somewhere(self):
        check = lambda text: rules(tidy.link_findings("proxy/README.md", text, lambda path: path == "proxy/base"))
        self.assertEqual([], check("[a](base) [b](https://example.org) [c](#part) [d](base#part)"))
        self.assertEqual(["link"], check("[a](bass)"))


class AllowList(unittest.TestCase):
    FINDING = tidy.Finding("proxy/base/clock.cc", 3, "clock", "x")

    def test_an_entry_allows_its_rule_in_its_file_only(self):
        entries, bad = tidy.parse_allowed("clock proxy/base/clock.cc # wraps it\n")
        self.assertEqual([], bad)
        self.assertEqual([], tidy.apply_allowed([self.FINDING], entries))
        other = tidy.Finding("proxy/base/log.cc", 3, "clock", "x")
        self.assertIn(other, tidy.apply_allowed([self.FINDING, other], entries))

    def test_an_entry_without_a_reason_is_refused(self):
        self.assertEqual(["allow-list"], rules(tidy.parse_allowed("clock proxy/base/clock.cc\n")[1]))

    def test_an_entry_that_allows_nothing_is_found(self):
        entries, _ = tidy.parse_allowed("clock proxy/base/clock.cc # wraps it\n")
        self.assertEqual(["allow-list"], rules(tidy.apply_allowed([], entries)))


class NamedTests(unittest.TestCase):
    FILES = {"tests/integration/a_test.py": "    def test_it_holds(self):\n", "tests/proxy/b_test.cc": 'TEST_CASE("it holds, too") {', "proxy/c_test.py": "def test_no("}

    def check(self, text):
        return rules(tidy.named_test_findings("THREATS.md", text, tidy.tests_of(self.FILES, self.FILES.get)))

    def test_a_test_that_is_named_is_there(self):
        self.assertEqual([], self.check("Shown by `a_test: it holds` and `b_test: it holds, too`; `a_test.py` is a file."))
        for missing in ("`a_test: it does not hold`", "`b_test: it holds`", "`d_test: it holds`", "`c_test: no`"):
            self.assertEqual(["named-test"], self.check(missing), missing)


class Headers(unittest.TestCase):
    def test_a_header_that_needs_another_first_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "good.h").write_text("// Good.\n#pragma once\n#include <string>\ninline std::string f() { return {}; }\n")
            (root / "bad.h").write_text("// Bad.\n#pragma once\ninline std::string f() { return {}; }\n")
            found = tidy.header_findings(root, ["good.h", "bad.h"], root / "cache")
            self.assertEqual(["bad.h"], [f.path for f in found])
            # From the cache the good one is not compiled again, and the bad one is found again.
            self.assertEqual(["bad.h"], [f.path for f in tidy.header_findings(root, ["good.h", "bad.h"], root / "cache")])


class WholeTree(unittest.TestCase):
    def test_a_bad_tree_fails_and_names_the_place(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "tools/tidy").mkdir(parents=True)
            (root / "tools/tidy/allowed.txt").write_text("")
            (root / "proxy/base").mkdir(parents=True)
            (root / "proxy/base/a.cc").write_text("void f() {\n  exit(1);\n}\n")
            subprocess.run(["git", "init", "-q", folder], check=True)
            script = pathlib.Path(tidy.__file__)
            run = subprocess.run([script, "--root", folder], capture_output=True, text=True)
            self.assertEqual(1, run.returncode)
            self.assertIn("proxy/base/a.cc:2: exit:", run.stdout)
            (root / "proxy/base/a.cc").write_text("void f() {}\n")
            run = subprocess.run([script, "--root", folder], capture_output=True, text=True)
            self.assertEqual((0, ""), (run.returncode, run.stdout))


if __name__ == "__main__":
    unittest.main()
