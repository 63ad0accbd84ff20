#include "absl/strings/ascii.h"
#include "proxy/config/compile/routes.h"
#include "proxy/config/compile/runtime.h"

namespace weft::config {

route::HeaderMatch compile_header_match(Context& context, const route_v3::HeaderMatcher& matcher,
                                        std::string_view path) {
  using Kind = route::HeaderMatch::Kind;
  using Text = route::StringMatcher::Kind;
  route::HeaderMatch result;
  result.name = absl::AsciiStrToLower(matcher.name());
  if (result.name.empty()) context.error(field_path(path, "name"), "a header match needs a name");
  result.invert = matcher.invert_match();
  result.treat_missing_as_empty = matcher.treat_missing_header_as_empty();
  auto text = [&](Text kind, const std::string& value) {
    result.kind = Kind::kString;
    result.string.kind = kind;
    result.string.value = value;
  };
  switch (matcher.header_match_specifier_case()) {
    case route_v3::HeaderMatcher::kExactMatch:
      text(Text::kExact, matcher.exact_match());
      break;
    case route_v3::HeaderMatcher::kPrefixMatch:
      text(Text::kPrefix, matcher.prefix_match());
      break;
    case route_v3::HeaderMatcher::kSuffixMatch:
      text(Text::kSuffix, matcher.suffix_match());
      break;
    case route_v3::HeaderMatcher::kContainsMatch:
      text(Text::kContains, matcher.contains_match());
      break;
    case route_v3::HeaderMatcher::kSafeRegexMatch:
      text(Text::kRegex, "");
      result.string.regex = compile_regex(context, matcher.safe_regex_match(), field_path(path, "safe_regex_match"));
      break;
    case route_v3::HeaderMatcher::kStringMatch:
      result.kind = Kind::kString;
      result.string = compile_string_matcher(context, matcher.string_match(), field_path(path, "string_match"));
      break;
    case route_v3::HeaderMatcher::kRangeMatch:
      result.kind = Kind::kRange;
      result.range_start = matcher.range_match().start();
      result.range_end = matcher.range_match().end();
      break;
    case route_v3::HeaderMatcher::kPresentMatch:
      result.present = matcher.present_match();
      break;
    case route_v3::HeaderMatcher::HEADER_MATCH_SPECIFIER_NOT_SET:
      break;
  }
  return result;
}

namespace {

route::QueryMatch compile_query_match(Context& context, const route_v3::QueryParameterMatcher& matcher,
                                      std::string_view path) {
  route::QueryMatch result;
  result.name = matcher.name();
  if (matcher.has_string_match()) {
    result.string = compile_string_matcher(context, matcher.string_match(), field_path(path, "string_match"));
  } else if (matcher.query_parameter_match_specifier_case() == route_v3::QueryParameterMatcher::kPresentMatch) {
    result.present = matcher.present_match();
  }
  return result;
}

void compile_path(Context& context, const route_v3::RouteMatch& match, std::string_view path,
                  route::RouteEntry& entry) {
  using Kind = route::PathMatch::Kind;
  entry.path.case_sensitive = WEFT_VALUE_OR(match, case_sensitive, true);
  switch (match.path_specifier_case()) {
    case route_v3::RouteMatch::kPrefix:
      entry.path.kind = Kind::kPrefix;
      entry.path.value = match.prefix();
      break;
    case route_v3::RouteMatch::kPath:
      entry.path.kind = Kind::kExact;
      entry.path.value = match.path();
      break;
    case route_v3::RouteMatch::kPathSeparatedPrefix:
      entry.path.kind = Kind::kPathSeparatedPrefix;
      entry.path.value = match.path_separated_prefix();
      if (entry.path.value.empty() || entry.path.value.front() != '/' || entry.path.value.back() == '/') {
        context.error(field_path(path, "path_separated_prefix"),
                      "expected a path that begins with / and does not end with it");
      }
      break;
    case route_v3::RouteMatch::kSafeRegex:
      entry.path.kind = Kind::kRegex;
      entry.path.value = match.safe_regex().regex();
      entry.path.regex = compile_regex(context, match.safe_regex(), field_path(path, "safe_regex"));
      break;
    case route_v3::RouteMatch::kConnectMatcher:
      entry.path.kind = Kind::kConnect;
      break;
    default:
      context.error(path, "expected prefix, path, path_separated_prefix, safe_regex or connect_matcher");
  }
}

}  // namespace

void compile_route_match(Context& context, const route_v3::RouteMatch& match, std::string_view path,
                         route::RouteEntry& entry) {
  using Kind = route::PathMatch::Kind;
  compile_path(context, match, path, entry);
  bool prefix = entry.path.kind == Kind::kPrefix || entry.path.kind == Kind::kPathSeparatedPrefix;
  if (prefix) entry.route->matched_prefix = entry.path.value;
  entry.route->matches_whole_path = !prefix;
  for (int i = 0; i < match.headers_size(); ++i) {
    entry.headers.push_back(compile_header_match(context, match.headers(i), at(path, "headers", i)));
  }
  for (int i = 0; i < match.query_parameters_size(); ++i) {
    entry.query.push_back(compile_query_match(context, match.query_parameters(i), at(path, "query_parameters", i)));
  }
  entry.grpc_only = match.has_grpc();
  if (match.has_runtime_fraction()) {
    Fraction fraction = runtime_fraction(context.bootstrap(), match.runtime_fraction());
    entry.fraction_numerator = fraction.numerator;
    entry.fraction_denominator = fraction.denominator;
  }
}

}  // namespace weft::config
