#include "proxy/config/identity/renewal.h"

#include <catch2/catch.hpp>

namespace weft::config::identity {

TEST_CASE("a certificate is renewed when its authority says") {
  base::Random random{1};
  CHECK(renewal_delay_ms({1'000, 61'000, 41'000}, 1'500, random) == 39'500);
}

TEST_CASE("where the clocks differ by more than a life, it is renewed in about the half of one") {
  base::Random random{1};
  for (int64_t now_ms : {50'000, 10'000'000, -1'000'000}) {
    int64_t delay_ms = renewal_delay_ms({1'000, 61'000, 41'000}, now_ms, random);
    INFO(now_ms);
    CHECK(delay_ms >= 24'000);
    CHECK(delay_ms <= 36'000);
  }
}

TEST_CASE("an authority that names no time, or whose certificates do not live, is not asked without end") {
  base::Random random{1};
  CHECK(renewal_delay_ms({1'000, 1'000, 0}, 1'000, random) >= 20);
  CHECK(renewal_delay_ms({1'000, 61'000, 1'001}, 1'000, random) >= 20);
}

TEST_CASE("it is alarming when less than a third is left") {
  Life life{0, 90'000, 60'000};
  CHECK_FALSE(is_alarming(life, 60'000));
  CHECK(is_alarming(life, 60'001));
}

TEST_CASE("the shorter the life, the more often it is tried again") {
  CHECK(first_retry_ms({0, 1'000, 500}) == 50);
  CHECK(longest_retry_ms({0, 1'000, 500}) == 500);
  CHECK(first_retry_ms({0, 86'400'000, 500}) == 1'000);
  CHECK(longest_retry_ms({0, 86'400'000, 500}) == 60'000);
}

}  // namespace weft::config::identity
