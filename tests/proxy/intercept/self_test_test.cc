#include "proxy/intercept/self_test.h"

#include <catch2/catch.hpp>

// The test itself is shown in real network namespaces, in tests/integration/fails_closed_test.py.

namespace weft::intercept {
namespace {

constexpr char kInterfaces[] =
    "00000000000000000000000000000001 01 80 10 80       lo\n"
    "00000000000000000000000000000006 01 80 00 80       lo\n"
    "fe8000000000000044a53ffffe4bd88f 02 40 20 80     eth0\n"
    "fd770000000000000000000000000002 02 40 00 80     eth0\n"
    "20010db8000000000000000000000001 03 40 00 80     eth1\n";

TEST_CASE("a host's own IPv6 address is neither of lo nor of its link alone") {
  CHECK(global_ipv6_of(kInterfaces).ip_text() == "fd77::2");
  CHECK(global_ipv6_of("00000000000000000000000000000001 01 80 10 80       lo\n").family ==
        transport::Address::Family::kNone);
  CHECK(global_ipv6_of("").family == transport::Address::Family::kNone);
  CHECK(global_ipv6_of("not a line\n").family == transport::Address::Family::kNone);
}

}  // namespace
}  // namespace weft::intercept
