#include "control-plane/registry/visibility.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "control-plane/registry/format.h"

namespace weft::control::registry {

std::string to_string(const ServiceName& name) {
  return (name.external ? "external " : "") + name.namespace_name + "/" + name.name;
}

bool Export::allows(std::string_view namespace_name) const {
  return to_all || std::binary_search(namespaces.begin(), namespaces.end(), namespace_name);
}

std::optional<std::vector<std::string>> parse_accounts(std::string_view text) {
  std::vector<std::string> accounts;
  for (const absl::string_view part : absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(part);
    const std::string_view name(stripped.data(), stripped.size());
    if (!is_dns_name(name)) return std::nullopt;
    accounts.emplace_back(name);
  }
  std::sort(accounts.begin(), accounts.end());
  accounts.erase(std::unique(accounts.begin(), accounts.end()), accounts.end());
  return accounts;
}

std::optional<Export> parse_export(std::string_view text, std::string_view own_namespace) {
  Export exported;
  if (text.empty()) return exported;
  exported.to_all = false;
  for (const absl::string_view part : absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(part);
    const std::string_view word(stripped.data(), stripped.size());
    if (word == "*") {
      exported.to_all = true;
    } else if (word == ".") {
      exported.namespaces.emplace_back(own_namespace);
    } else if (is_dns_label(word)) {
      exported.namespaces.emplace_back(word);
    } else if (word != "~") {
      return std::nullopt;
    }
  }
  if (exported.to_all) exported.namespaces.clear();
  std::sort(exported.namespaces.begin(), exported.namespaces.end());
  exported.namespaces.erase(std::unique(exported.namespaces.begin(), exported.namespaces.end()),
                            exported.namespaces.end());
  return exported;
}

std::string to_string(const Export& exported) {
  if (exported.to_all) return "all namespaces";
  return exported.namespaces.empty() ? "no namespace" : absl::StrJoin(exported.namespaces, ", ");
}

bool HostPattern::matches(const ServiceName& service) const {
  return (namespace_name == "*" || namespace_name == service.namespace_name) && (name == "*" || name == service.name);
}

std::optional<HostPattern> parse_host_pattern(std::string_view text, std::string_view own_namespace) {
  const size_t slash = text.find('/');
  const bool has_namespace = slash != std::string_view::npos;
  const std::string_view space = has_namespace ? text.substr(0, slash) : ".";
  const std::string_view name = has_namespace ? text.substr(slash + 1) : text;
  if (space == "~") return name == "*" ? std::optional(HostPattern{"~", "*"}) : std::nullopt;
  if (space != "." && space != "*" && !is_dns_label(space)) return std::nullopt;
  if (name != "*" && !is_dns_label(name)) return std::nullopt;
  return HostPattern{std::string(space == "." ? own_namespace : space), std::string(name)};
}

std::string to_string(const HostPattern& pattern) { return pattern.namespace_name + "/" + pattern.name; }

void sort_patterns(std::vector<HostPattern>& patterns) {
  std::sort(patterns.begin(), patterns.end());
  patterns.erase(std::unique(patterns.begin(), patterns.end()), patterns.end());
}

std::vector<HostPattern> intersect(const std::vector<HostPattern>& a, const std::vector<HostPattern>& b) {
  std::vector<HostPattern> both;
  const auto narrower = [](const std::string& x, const std::string& y) { return x == "*" ? y : x; };
  for (const HostPattern& x : a) {
    for (const HostPattern& y : b) {
      const bool same_namespace =
          x.namespace_name == "*" || y.namespace_name == "*" || x.namespace_name == y.namespace_name;
      const bool same_name = x.name == "*" || y.name == "*" || x.name == y.name;
      if (!same_namespace || !same_name) continue;
      both.push_back({narrower(x.namespace_name, y.namespace_name), narrower(x.name, y.name)});
    }
  }
  sort_patterns(both);
  return both;
}

bool matches_any(const std::vector<HostPattern>& patterns, const ServiceName& service) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const HostPattern& pattern) { return pattern.matches(service); });
}

}  // namespace weft::control::registry
