#pragma once

// One metric of a proxy's as what it says of the mesh's traffic: which edge it is of, and what it counts. Reads Istio's
// metrics, which weft-proxy tells, and of others' the metrics of clusters that our names make. Pure; any thread.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace io::prometheus::client {
class Metric;
class MetricFamily;
}  // namespace io::prometheus::client

namespace weft::control::telemetry {

// A service, or whatever else calls and is called.
struct Party {
  enum class Kind : uint8_t {
    kService,
    // Calls and is not known.
    kOutside,
    // Is called outside of the mesh, or nobody knows whom the call was for.
    kExternal,
  };
  Kind kind = Kind::kService;
  std::string namespace_name;
  std::string name;

  auto operator<=>(const Party&) const = default;
};

struct Edge {
  Party source;
  Party destination;
  // "http", "grpc" or "tcp".
  std::string protocol;
  // By whom it is told: the proxy that stands by the destination, else that of the source.
  bool told_by_destination = false;

  auto operator<=>(const Edge&) const = default;
};

// The bounds of Envoy's histograms, in milliseconds; a value beyond them is in the last bucket.
inline constexpr std::array<double, 19> kBounds = {
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000};
using Buckets = std::array<uint64_t, kBounds.size() + 1>;

enum class Counted : uint8_t { kRequests, kFailures, kConnections, kSentBytes, kReceivedBytes };
enum class Security : uint8_t { kUnknown, kNone, kMutual };

struct Reading {
  Edge edge;
  Security security = Security::kUnknown;
  Counted counted = Counted::kRequests;
  // A counter: what it has come to, and whether what it counts failed, too.
  uint64_t total = 0;
  bool failed = false;
  // A histogram: how long the requests took that ended since the last message.
  std::optional<Buckets> durations;
};

// The node that sends, as it was let in: what it says of its own side is not asked again.
struct Reporter {
  std::string namespace_name;
  // Empty: it stands by no service, and is told by its id.
  std::string service;
  std::string id;
};

// Nothing if the metric says nothing of an edge.
std::optional<Reading> read_metric(const Reporter& reporter, const io::prometheus::client::MetricFamily& family,
                                   const io::prometheus::client::Metric& metric);

}  // namespace weft::control::telemetry
