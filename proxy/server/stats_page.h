#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/observe/metrics.h"
#include "proxy/observe/stats_rules.h"

// The metrics as text, JSON and Prometheus exposition. Main thread; reads what workers write.

namespace weft::server {

struct GaugeNow {
  std::string name;  // "server.uptime"
  int64_t value;
  const observe::FamilyBase* family = nullptr;  // Whose prefix and label it has besides.
};

// What is words and no number: the version of a configuration. Not for Prometheus.
struct TextNow {
  std::string name;
  std::string text;
};

struct StatsFilter {
  std::string pattern;     // RE2 that must be found in the name; empty: all.
  bool used_only = false;  // Leaves out what never was anything but zero.
  const observe::StatsRules* rules = nullptr;
};

// Whether a metric of this name is shown by what of the filter concerns names.
std::function<bool(std::string_view)> name_filter(const StatsFilter& filter);

std::string stats_text(const std::vector<const observe::FamilyBase*>& families, const std::vector<GaugeNow>& gauges,
                       const std::vector<TextNow>& texts, const StatsFilter& filter);
std::string stats_json(const std::vector<const observe::FamilyBase*>& families, const std::vector<GaugeNow>& gauges,
                       const std::vector<TextNow>& texts, const StatsFilter& filter);
std::string stats_prometheus(const std::vector<const observe::FamilyBase*>& families,
                             const std::vector<GaugeNow>& gauges, const StatsFilter& filter);

}  // namespace weft::server
