#include "proxy/server/stats_page.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "proxy/cluster/cluster.h"

namespace weft::server {
namespace {

using Summary = observe::Histogram::Summary;

// Envoy's quantiles and buckets, so that dashboards find what they know.
constexpr double kQuantiles[] = {0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1};
constexpr double kBuckets[] = {0.5,  1,    5,     10,    25,    50,     100,    250,     500,    1000,
                               2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000};

std::string number(double value) {
  char text[32];
  snprintf(text, sizeof(text), "%.10g", value);
  return text;
}

struct Wanted {
  explicit Wanted(const StatsFilter& filter) : used_only(filter.used_only), rules(filter.rules) {
    if (!filter.pattern.empty()) regex = std::make_unique<RE2>(filter.pattern, RE2::Quiet);
  }
  bool name(const std::string& text) const {
    if (rules != nullptr && !rules->shown(text)) return false;
    return regex == nullptr || (regex->ok() && RE2::PartialMatch(text, *regex));
  }
  bool text(const TextNow& each) const { return name(each.name) && !(used_only && each.text.empty()); }
  std::unique_ptr<RE2> regex;
  bool used_only;
  const observe::StatsRules* rules;
};

// Collects everything by full name, sorted.
class Collector final : public observe::MetricVisitor {
 public:
  Collector(const Wanted& wanted) : wanted_(wanted) {}
  void add(const observe::FamilyBase& family) {
    prefix_ = family.prefix();
    family.visit(*this);
  }
  void counter(std::string_view name, uint64_t value) override { plain(name, static_cast<int64_t>(value)); }
  void gauge(std::string_view name, int64_t value) override { plain(name, value); }
  void histogram(std::string_view name, const Summary& value) override {
    std::string full = prefix_ + std::string(name);
    if (!wanted_.name(full) || (wanted_.used_only && value.count == 0)) return;
    histograms[full] = value;
  }
  void plain(std::string_view name, int64_t value) {
    std::string full = prefix_ + std::string(name);
    if (wanted_.name(full) && (!wanted_.used_only || value != 0)) values[full] += value;
  }
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }

  std::map<std::string, int64_t> values;
  std::map<std::string, Summary> histograms;

 private:
  const Wanted& wanted_;
  std::string prefix_;
};

Collector collect(const std::vector<const observe::FamilyBase*>& families, const std::vector<GaugeNow>& gauges,
                  const Wanted& wanted) {
  Collector collector(wanted);
  for (const observe::FamilyBase* family : families) collector.add(*family);
  for (const GaugeNow& gauge : gauges) {
    collector.set_prefix(gauge.family == nullptr ? "" : gauge.family->prefix());
    collector.plain(gauge.name, gauge.value);
  }
  return collector;
}

// Prometheus wants all samples of one name together, under one TYPE line.
class Exposition final : public observe::MetricVisitor {
 public:
  explicit Exposition(const Wanted& wanted) : wanted_(wanted) {}
  void add(const observe::FamilyBase& family) {
    enter(&family);
    family.visit(*this);
  }
  void counter(std::string_view name, uint64_t value) override { sample(name, "counter", std::to_string(value)); }
  void gauge(std::string_view name, int64_t value) override { sample(name, "gauge", std::to_string(value)); }
  void gauge_now(const GaugeNow& gauge) {
    enter(gauge.family);
    sample(gauge.name, "gauge", std::to_string(gauge.value));
  }
  void histogram(std::string_view name, const Summary& value) override {
    if (!wanted(name, value.count != 0)) return;
    std::string metric = describe(name);
    std::string& out = group(metric, "histogram");
    std::string separator = labels_.empty() ? "" : ",";
    for (double bound : kBuckets) {
      out += metric + "_bucket{" + labels_ + separator + "le=\"" + number(bound) + "\"} " +
             std::to_string(value.count_at_most(static_cast<uint64_t>(bound))) + "\n";
    }
    out += metric + "_bucket{" + labels_ + separator + "le=\"+Inf\"} " + std::to_string(value.count) + "\n";
    out += metric + "_sum{" + labels_ + "} " + std::to_string(value.sum) + "\n";
    out += metric + "_count{" + labels_ + "} " + std::to_string(value.count) + "\n";
  }
  std::string text() const {
    std::string out;
    for (const auto& [name, group] : groups_) out += "# TYPE " + name + " " + group.type + "\n" + group.samples;
    return out;
  }

 private:
  struct Group {
    const char* type;
    std::string samples;
  };
  // What follows is of this family, or of none.
  void enter(const observe::FamilyBase* family) {
    // "cluster.backend." with the tag backend is envoy_cluster_…{envoy_cluster_name="backend"}.
    prefix_ = family == nullptr ? "" : family->prefix();
    bool by_default = wanted_.rules == nullptr || wanted_.rules->default_tags();
    family_ = family != nullptr && by_default && !family->tag_name().empty() ? family : nullptr;
  }
  static std::string clean(std::string_view name) {
    std::string out(name);
    for (char& c : out) {
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) c = '_';
    }
    return out;
  }
  static std::string escape(std::string_view text) {
    std::string out;
    for (char c : text) {
      if (c == '\\' || c == '"') out.push_back('\\');
      out += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return out;
  }
  bool wanted(std::string_view name, bool used) const {
    return wanted_.name(prefix_ + std::string(name)) && (used || !wanted_.used_only);
  }
  // The metric's name in the exposition; its labels into labels_.
  std::string describe(std::string_view name) {
    std::string full = prefix_ + std::string(name);
    observe::StatsRules::Tagged tagged;
    if (wanted_.rules != nullptr) tagged = wanted_.rules->tags_of(full);
    if (family_ != nullptr) {
      size_t begin = prefix_.find('.');
      tagged.removed.emplace_back(begin, prefix_.size() - 1);
      // A tag of the same name that the configuration asks for comes first.
      bool taken = false;
      for (const auto& [label, value] : tagged.labels) taken |= label == family_->tag_name();
      if (!taken) tagged.labels.emplace_back(std::string(family_->tag_name()), family_->tag_value());
    }
    labels_.clear();
    for (const auto& [label, value] : tagged.labels) {
      if (!labels_.empty()) labels_ += ",";
      labels_ += label + "=\"" + escape(value) + "\"";
    }
    std::string kept;
    for (size_t i = 0; i < full.size(); ++i) {
      bool removed = false;
      for (const auto& [begin, end] : tagged.removed) removed |= i >= begin && i < end;
      if (!removed) kept.push_back(full[i]);
    }
    return "envoy_" + clean(kept);
  }
  std::string& group(const std::string& metric, const char* type) {
    Group& group = groups_[metric];
    group.type = type;
    return group.samples;
  }
  void sample(std::string_view name, const char* type, const std::string& value) {
    if (!wanted(name, value != "0")) return;
    std::string metric = describe(name);
    group(metric, type) += metric + "{" + labels_ + "} " + value + "\n";
  }

  const Wanted& wanted_;
  std::string prefix_, labels_;
  const observe::FamilyBase* family_ = nullptr;  // Whose label is taken out of names.
  std::map<std::string, Group> groups_;
};

}  // namespace

std::function<bool(std::string_view)> name_filter(const StatsFilter& filter) {
  return [wanted = std::make_shared<Wanted>(filter)](std::string_view name) { return wanted->name(std::string(name)); };
}

std::string stats_text(const std::vector<const observe::FamilyBase*>& families, const std::vector<GaugeNow>& gauges,
                       const std::vector<TextNow>& texts, const StatsFilter& filter) {
  Wanted wanted(filter);
  Collector collector = collect(families, gauges, wanted);
  std::string out;
  for (const TextNow& each : texts) {
    if (wanted.text(each)) out += each.name + ": \"" + each.text + "\"\n";
  }
  for (const auto& [name, value] : collector.values) out += name + ": " + std::to_string(value) + "\n";
  for (const auto& [name, summary] : collector.histograms) {
    out += name + ":";
    if (summary.count == 0) {
      out += " No recorded values\n";
      continue;
    }
    for (double quantile : kQuantiles) {
      out += " P" + number(quantile * 100) + "(nan," + number(summary.quantile(quantile)) + ")";
    }
    out += "\n";
  }
  return out;
}

std::string stats_json(const std::vector<const observe::FamilyBase*>& families, const std::vector<GaugeNow>& gauges,
                       const std::vector<TextNow>& texts, const StatsFilter& filter) {
  Wanted wanted(filter);
  Collector collector = collect(families, gauges, wanted);
  nlohmann::json stats = nlohmann::json::array();
  for (const TextNow& each : texts) {
    if (wanted.text(each)) stats.push_back({{"name", each.name}, {"value", each.text}});
  }
  for (const auto& [name, value] : collector.values) stats.push_back({{"name", name}, {"value", value}});
  if (!collector.histograms.empty()) {
    nlohmann::json quantiles = nlohmann::json::array(), computed = nlohmann::json::array();
    for (double quantile : kQuantiles) quantiles.push_back(quantile * 100);
    for (const auto& [name, summary] : collector.histograms) {
      nlohmann::json values = nlohmann::json::array();
      for (double quantile : kQuantiles) {
        values.push_back({{"interval", nullptr},
                          {"cumulative",
                           summary.count == 0 ? nlohmann::json(nullptr) : nlohmann::json(summary.quantile(quantile))}});
      }
      computed.push_back({{"name", name}, {"values", values}});
    }
    stats.push_back({{"histograms", {{"supported_quantiles", quantiles}, {"computed_quantiles", computed}}}});
  }
  return nlohmann::json{{"stats", stats}}.dump();
}

std::string stats_prometheus(const std::vector<const observe::FamilyBase*>& families,
                             const std::vector<GaugeNow>& gauges, const StatsFilter& filter) {
  Wanted wanted(filter);
  Exposition exposition(wanted);
  for (const observe::FamilyBase* family : families) exposition.add(*family);
  for (const GaugeNow& gauge : gauges) exposition.gauge_now(gauge);
  return exposition.text();
}

}  // namespace weft::server
