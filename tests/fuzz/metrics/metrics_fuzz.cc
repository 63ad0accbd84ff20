#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control-plane/base/clock.h"
#include "control-plane/telemetry/traffic.h"
#include "envoy/service/metrics/v3/metrics_service.pb.h"

// What a proxy streams as its metrics: messages, each behind a byte of its length. What is kept of them stays within
// its limits, and every figure that is made of them is a number.

namespace {

using namespace weft::control;
using namespace weft::control::telemetry;

constexpr size_t kEdges = 8;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  weft::control::base::ManualClock clock;
  Traffic traffic(clock, {.proxies = 1, .series_of_proxy = 16, .series = 16, .edges = kEdges});
  const uint64_t stream = *traffic.open({"shop", "web", "web-1"});
  if (traffic.open({"shop", "web", "web-2"}).ok()) abort();
  while (bytes.size() > 1) {
    const size_t length = std::min<size_t>(static_cast<uint8_t>(bytes[0]), bytes.size() - 1);
    envoy::service::metrics::v3::StreamMetricsMessage message;
    const bool parsed = message.ParseFromArray(bytes.data() + 1, static_cast<int>(length));
    bytes.remove_prefix(1 + length);
    if (!parsed) continue;
    traffic.take(stream, message);
    clock.advance_ms(1'000);
  }
  const Traffic::Now now = traffic.now(60'000);
  if (now.edges.size() > kEdges || now.window_ms <= 0) abort();
  for (const MergedEdge& each : merge(now.edges).edges) {
    const double p99_ms = each.window.quantile(0.99);
    if (!std::isfinite(p99_ms) || p99_ms < 0) abort();
  }
  traffic.close(stream);
  return 0;
}
