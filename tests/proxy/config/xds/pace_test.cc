#include "proxy/config/xds/pace.h"

#include <catch2/catch.hpp>

namespace weft::config::xds {

TEST_CASE("backoff doubles up to its longest, each with jitter of half, and begins anew after a success") {
  base::Random random(1);
  Backoff backoff(100, 1'000);
  for (int64_t step_ms : {100, 200, 400, 800, 1'000, 1'000}) {
    int64_t delay_ms = backoff.next_ms(random);
    CHECK(delay_ms >= step_ms / 2);
    CHECK(delay_ms <= step_ms);
  }
  backoff.reset();
  CHECK(backoff.next_ms(random) <= 100);
}

TEST_CASE("two proxies do not come back at the same moments") {
  base::Random a(1), b(2);
  Backoff of_a(1'000, 30'000), of_b(1'000, 30'000);
  int same = 0;
  for (int i = 0; i < 10; ++i) same += of_a.next_ms(a) == of_b.next_ms(b) ? 1 : 0;
  CHECK(same < 3);
}

TEST_CASE("a bucket gives its tokens at once, then as they come in") {
  TokenBucket bucket(2, 10);
  CHECK(bucket.take(1'000));
  CHECK(bucket.take(1'000));
  CHECK_FALSE(bucket.take(1'000));
  CHECK(bucket.wait_ms() >= 100);
  CHECK(bucket.wait_ms() <= 101);
  CHECK_FALSE(bucket.take(1'099));
  CHECK(bucket.take(1'101));
}

}  // namespace weft::config::xds
