#pragma once

// From edges as proxies tell them, often both ends of one, to edges and services as people want them: each request
// once. Pure; any thread.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "control-plane/telemetry/reading.h"

namespace weft::control::telemetry {

struct Sums {
  uint64_t requests = 0;
  uint64_t failures = 0;
  uint64_t connections = 0;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  Buckets durations{};

  // What is counted one by one.
  uint64_t count() const { return requests + connections; }
  void add(const Sums& other);
  // This share of everything, 0 to 1.
  Sums scaled(double share) const;
  // Milliseconds, 0 ≤ q ≤ 1; within a bucket as if values lay evenly in it. 0 without durations.
  double quantile(double q) const;
};

struct MeasuredEdge {
  Edge edge;
  // Over the window, and since the edge is known.
  Sums window;
  Sums total;
  // Which kinds of security were seen within the window.
  bool saw_none = false;
  bool saw_mutual = false;
};

struct MergedEdge {
  Party source;
  Party destination;
  std::string protocol;
  Sums window;
  Sums total;
  bool saw_none = false;
  bool saw_mutual = false;
};

struct Merged {
  // By source, destination and protocol.
  std::vector<MergedEdge> edges;
  // What comes in, over the window and since it is known.
  std::map<Party, std::pair<Sums, Sums>> services;
};

// An edge that both ends tell is the caller's, who knows most; a service's own traffic is as its own proxies tell it,
// or else its callers'. Callers whom the called side does not know are outside, but for those who told of themselves.
Merged merge(const std::vector<MeasuredEdge>& measured);

}  // namespace weft::control::telemetry
