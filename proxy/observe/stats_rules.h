#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

// What an operator wants of the names of metrics (Envoy's stats_config): which are shown, and which parts of a name are
// labels. Filled in by config/compile, immutable after that; read by the admin's pages on the main thread.

namespace re2 {
class RE2;
}  // namespace re2

namespace weft::observe {

class StatsRules {
 public:
  using Matcher = std::function<bool(std::string_view)>;

  StatsRules();
  ~StatsRules();

  // The regex's first group is taken out of the name; its second, or else its first, is the label's value.
  absl::Status add_tag(std::string name, const std::string& regex);
  // A label that every metric has.
  void add_fixed_tag(std::string name, std::string value);
  void show_only(std::vector<Matcher> matchers);
  void hide(std::vector<Matcher> matchers);
  void hide_all() { hide_all_ = true; }
  void set_default_tags(bool wanted) { default_tags_ = wanted; }

  // `name` is whole: "cluster.backend.upstream_rq_total".
  bool shown(std::string_view name) const;
  // Whether the proxy's own labels (envoy_cluster_name and the like) are taken out of names.
  bool default_tags() const { return default_tags_; }

  struct Tagged {
    std::vector<std::pair<std::string, std::string>> labels;  // Names as Prometheus allows them.
    std::vector<std::pair<size_t, size_t>> removed;           // [begin, end) of the name, in no order; may overlap.
  };
  Tagged tags_of(std::string_view name) const;

 private:
  struct Tag {
    std::string label;
    std::unique_ptr<re2::RE2> regex;  // Null: `value` for all.
    std::string value;
  };
  std::vector<Tag> tags_;
  std::vector<Matcher> shown_, hidden_;
  bool only_shown_ = false;
  bool hide_all_ = false;
  bool default_tags_ = true;
};

}  // namespace weft::observe
