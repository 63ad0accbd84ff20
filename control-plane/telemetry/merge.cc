#include "control-plane/telemetry/merge.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace weft::control::telemetry {

namespace {

// Both ends tell at different moments: less than this of what is not known is no caller.
constexpr double kLeastShare = 0.02;

// The traffic of one protocol to one party.
struct Arrival {
  std::vector<const MeasuredEdge*> by_source;
  std::vector<const MeasuredEdge*> by_destination;
};

MergedEdge take(const MeasuredEdge& edge) {
  return {edge.edge.source, edge.edge.destination, edge.edge.protocol, edge.window,
          edge.total,       edge.saw_none,         edge.saw_mutual};
}

bool is_outside(const MeasuredEdge& edge) { return edge.edge.source.kind == Party::Kind::kOutside; }

// What of the unknown callers' traffic no caller has told.
double unexplained_share(const Arrival& arrival, const std::set<Party>& known_to_destination) {
  uint64_t unknown = 0;
  for (const MeasuredEdge* each : arrival.by_destination) {
    if (is_outside(*each)) unknown += each->total.count();
  }
  uint64_t told = 0;
  for (const MeasuredEdge* each : arrival.by_source) {
    if (!known_to_destination.contains(each->edge.source)) told += each->total.count();
  }
  if (unknown == 0) return 0;
  return told >= unknown ? 0 : static_cast<double>(unknown - told) / static_cast<double>(unknown);
}

void merge_arrival(const Arrival& arrival, Merged& out) {
  std::set<Party> told_by_source;
  for (const MeasuredEdge* each : arrival.by_source) {
    told_by_source.insert(each->edge.source);
    out.edges.push_back(take(*each));
  }
  std::set<Party> known;
  for (const MeasuredEdge* each : arrival.by_destination) {
    if (!is_outside(*each)) known.insert(each->edge.source);
  }
  const double outside = unexplained_share(arrival, known);
  for (const MeasuredEdge* each : arrival.by_destination) {
    if (told_by_source.contains(each->edge.source)) continue;
    MergedEdge edge = take(*each);
    if (is_outside(*each)) {
      if (outside < kLeastShare) continue;
      edge.window = edge.window.scaled(outside);
      edge.total = edge.total.scaled(outside);
    }
    out.edges.push_back(std::move(edge));
  }
  // A service's own word of what came in goes before that of those who called.
  const auto& tellers = arrival.by_destination.empty() ? arrival.by_source : arrival.by_destination;
  for (const MeasuredEdge* each : tellers) {
    auto& [window, total] = out.services[each->edge.destination];
    window.add(each->window);
    total.add(each->total);
  }
}

}  // namespace

void Sums::add(const Sums& other) {
  requests += other.requests;
  failures += other.failures;
  connections += other.connections;
  sent_bytes += other.sent_bytes;
  received_bytes += other.received_bytes;
  for (size_t i = 0; i < durations.size(); ++i) durations[i] += other.durations[i];
}

Sums Sums::scaled(double share) const {
  const auto scale = [share](uint64_t n) {
    return static_cast<uint64_t>(std::llround(static_cast<double>(n) * share));
  };
  Sums out{.requests = scale(requests),
           .failures = scale(failures),
           .connections = scale(connections),
           .sent_bytes = scale(sent_bytes),
           .received_bytes = scale(received_bytes)};
  for (size_t i = 0; i < durations.size(); ++i) out.durations[i] = scale(durations[i]);
  return out;
}

double Sums::quantile(double q) const {
  uint64_t count = 0;
  for (const uint64_t each : durations) count += each;
  if (count == 0) return 0;
  const double rank = q * static_cast<double>(count);
  uint64_t before = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    const auto of_bucket = static_cast<double>(durations[i]);
    if (durations[i] != 0 && static_cast<double>(before) + of_bucket >= rank) {
      const double lower = i == 0 ? 0 : kBounds[i - 1];
      return lower + (kBounds[i] - lower) * std::max(0.0, rank - static_cast<double>(before)) / of_bucket;
    }
    before += durations[i];
  }
  return kBounds.back();
}

Merged merge(const std::vector<MeasuredEdge>& measured) {
  std::map<std::pair<Party, std::string>, Arrival> arrivals;
  for (const MeasuredEdge& each : measured) {
    Arrival& arrival = arrivals[{each.edge.destination, each.edge.protocol}];
    (each.edge.told_by_destination ? arrival.by_destination : arrival.by_source).push_back(&each);
  }
  Merged out;
  for (const auto& [to, arrival] : arrivals) merge_arrival(arrival, out);
  std::sort(out.edges.begin(), out.edges.end(), [](const MergedEdge& a, const MergedEdge& b) {
    return std::tie(a.source, a.destination, a.protocol) < std::tie(b.source, b.destination, b.protocol);
  });
  return out;
}

}  // namespace weft::control::telemetry
