#include "proxy/route/conditions.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::route {
namespace {

bool starts_with(std::string_view text, std::string_view prefix, bool case_sensitive) {
  if (text.size() < prefix.size()) return false;
  text = text.substr(0, prefix.size());
  return case_sensitive ? text == prefix : http::equals_ignoring_case(text, prefix);
}

std::string path_text(const PathMatch& match) {
  static constexpr const char* kNames[] = {"path prefix ", "path ", "path regex ", "path-separated prefix ", "CONNECT"};
  return absl::StrCat(kNames[static_cast<int>(match.kind)], match.value);
}

}  // namespace

bool path_matches(const PathMatch& match, std::string_view path, const http::RequestHead& request) {
  if (match.kind == PathMatch::Kind::kConnect) {
    return request.method_id == http::Method::kConnect && request.upgrade.empty();
  }
  // A CONNECT without :protocol has no path: only a route made for CONNECT takes it.
  if (path.empty()) return false;
  switch (match.kind) {
    case PathMatch::Kind::kPrefix:
      return starts_with(path, match.value, match.case_sensitive);
    case PathMatch::Kind::kExact:
      return match.case_sensitive ? path == match.value : http::equals_ignoring_case(path, match.value);
    case PathMatch::Kind::kPathSeparatedPrefix:
      return starts_with(path, match.value, match.case_sensitive) &&
             (path.size() == match.value.size() || path[match.value.size()] == '/');
    case PathMatch::Kind::kRegex:
      return match.regex != nullptr && match.regex->matches(path);
    case PathMatch::Kind::kConnect:
      break;
  }
  return false;
}

bool query_matches(const QueryMatch& match, const http::RequestHead& request) {
  std::string_view rest = request.path;
  rest = rest.substr(0, rest.find('#'));
  size_t mark = rest.find('?');
  rest = mark == std::string_view::npos ? std::string_view() : rest.substr(mark + 1);
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != match.name) continue;
    // The first of several with one name decides.
    if (!match.string.has_value()) return match.present;
    return match.string->matches(equals < pair.size() ? pair.substr(equals + 1) : std::string_view());
  }
  return !match.string.has_value() && !match.present;
}

bool entry_matches(const RouteEntry& entry, const http::RequestHead& request, std::string_view path, bool path_known,
                   base::Random& random, std::string* why) {
  bool path_holds = path_known && entry.path.kind != PathMatch::Kind::kPathSeparatedPrefix && !path.empty();
  if (!path_holds && !path_matches(entry.path, path, request)) {
    if (why != nullptr) *why = absl::StrCat(path_text(entry.path), " does not match");
    return false;
  }
  if (entry.grpc_only && !request.is_grpc()) {
    if (why != nullptr) *why = "it is for gRPC only";
    return false;
  }
  for (const HeaderMatch& match : entry.headers) {
    if (header_matches(match, request)) continue;
    if (why != nullptr) {
      *why = absl::StrCat("header ", match.name, ": ", match.invert ? "not " : "",
                          match.kind == HeaderMatch::Kind::kString    ? match.string.to_string()
                          : match.kind == HeaderMatch::Kind::kPresent ? (match.present ? "present" : "absent")
                                                                      : "a number in range",
                          " does not hold");
    }
    return false;
  }
  for (const QueryMatch& match : entry.query) {
    if (query_matches(match, request)) continue;
    if (why != nullptr) *why = absl::StrCat("query parameter ", match.name, " does not match");
    return false;
  }
  if (entry.fraction_denominator != 0 && random.below(entry.fraction_denominator) >= entry.fraction_numerator) {
    if (why != nullptr) *why = "the request is not in the fraction that it takes";
    return false;
  }
  return true;
}

}  // namespace weft::route
