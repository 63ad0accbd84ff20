#include "control-plane/compile/path_pattern.h"

#include <re2/re2.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "control-plane/compile/string_pattern.h"
#include "envoy/extensions/path/match/uri_template/v3/uri_template_match.pb.h"

namespace weft::control::compile {

namespace {

constexpr char kSlashes[] = R"((?:/|\\|%2[fF]|%5[cC])+)";
constexpr char kAnySegment[] = "{*}";
constexpr char kAnySegments[] = "{**}";

// With (?s), so that . is any byte.
std::string regex_of(std::string_view pattern) {
  std::string out;
  while (!pattern.empty()) {
    if (pattern.front() == '/') {
      absl::StrAppend(&out, kSlashes);
      pattern.remove_prefix(1);
    } else if (pattern.front() == '*') {
      absl::StrAppend(&out, ".*");
      pattern.remove_prefix(1);
    } else if (pattern.starts_with(kAnySegment)) {
      absl::StrAppend(&out, "[^/]+");
      pattern.remove_prefix(std::string_view(kAnySegment).size());
    } else if (pattern.starts_with(kAnySegments)) {
      absl::StrAppend(&out, ".*");
      pattern.remove_prefix(std::string_view(kAnySegments).size());
    } else {
      const std::string text(pattern.substr(0, pattern.find_first_of("/*{", 1)));
      absl::StrAppend(&out, re2::RE2::QuoteMeta(text));
      pattern.remove_prefix(text.size());
    }
  }
  return out;
}

}  // namespace

void set_path(const std::string& pattern, envoy::config::rbac::v3::Permission* out) {
  if (pattern.find('{') == std::string::npos) {
    *out->mutable_url_path()->mutable_path() = string_pattern(pattern);
    return;
  }
  envoy::extensions::path::match::uri_template::v3::UriTemplateMatchConfig config;
  config.set_path_template(absl::StrReplaceAll(pattern, {{kAnySegments, "**"}, {kAnySegment, "*"}}));
  out->mutable_uri_template()->set_name("uri_template");
  out->mutable_uri_template()->mutable_typed_config()->PackFrom(config);
}

void set_path_in_any_writing(const std::string& pattern, envoy::config::rbac::v3::Permission* out) {
  if (pattern == "*") return set_path(pattern, out);
  out->mutable_url_path()->mutable_path()->mutable_safe_regex()->set_regex(
      absl::StrCat("(?s:", regex_of(pattern), "|.*", kSlashes, R"(\.\.?(?:)", kSlashes, ".*)?)"));
}

}  // namespace weft::control::compile
