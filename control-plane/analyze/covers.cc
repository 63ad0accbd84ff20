#include "control-plane/analyze/covers.h"

#include <google/protobuf/util/message_differencer.h>
#include <re2/re2.h>

#include <algorithm>
#include <string>

#include "envoy/config/route/v3/route_components.pb.h"

namespace weft::control::analyze {

namespace {

using envoy::config::route::v3::RouteMatch;

// The text with which every path that matches begins; empty if nothing is known of it.
const std::string& least_path(const RouteMatch& match) {
  static const std::string kNone;
  switch (match.path_specifier_case()) {
    case RouteMatch::kPath:
      return match.path();
    case RouteMatch::kPrefix:
      return match.prefix();
    case RouteMatch::kPathSeparatedPrefix:
      return match.path_separated_prefix();
    default:
      return kNone;
  }
}

bool covers_path(const RouteMatch& wide, const RouteMatch& narrow) {
  const std::string& least = least_path(narrow);
  switch (wide.path_specifier_case()) {
    case RouteMatch::kPrefix:
      return wide.prefix() == "/" || (!least.empty() && least.starts_with(wide.prefix()));
    case RouteMatch::kPathSeparatedPrefix: {
      const std::string& prefix = wide.path_separated_prefix();
      // A plain prefix goes on within the segment.
      return least.starts_with(prefix + "/") || (least == prefix && !narrow.has_prefix());
    }
    case RouteMatch::kPath:
      return narrow.has_path() && narrow.path() == wide.path();
    case RouteMatch::kSafeRegex: {
      const std::string& pattern = wide.safe_regex().regex();
      if (pattern == ".*" || pattern == "/.*") return true;
      if (narrow.has_safe_regex()) return narrow.safe_regex().regex() == pattern;
      return narrow.has_path() && re2::RE2::FullMatch(narrow.path(), re2::RE2(pattern, re2::RE2::Quiet));
    }
    default:
      return false;
  }
}

// Whether every condition of `wide` is one of `narrow`.
template <typename Conditions>
bool covers_all(const Conditions& wide, const Conditions& narrow) {
  return std::all_of(wide.begin(), wide.end(), [&](const auto& condition) {
    return std::any_of(narrow.begin(), narrow.end(), [&](const auto& other) {
      return google::protobuf::util::MessageDifferencer::Equals(condition, other);
    });
  });
}

}  // namespace

bool covers(const RouteMatch& wide, const RouteMatch& narrow) {
  return covers_path(wide, narrow) && covers_all(wide.headers(), narrow.headers()) &&
         covers_all(wide.query_parameters(), narrow.query_parameters());
}

}  // namespace weft::control::analyze
