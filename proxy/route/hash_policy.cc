#include "proxy/route/hash_policy.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "proxy/base/hash.h"
#include "proxy/route/matcher.h"

namespace weft::route {
namespace {

using http::HeaderId;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// RFC 6265, 5.4: "a=1; b=2", perhaps in several headers.
std::string_view cookie_value(const http::HeaderMap& headers, std::string_view name) {
  for (const http::Header& header : headers) {
    if (header.id != HeaderId::kCookie) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
      size_t equals = pair.find('=');
      if (equals == std::string_view::npos || trimmed(pair.substr(0, equals)) != name) continue;
      std::string_view value = trimmed(pair.substr(equals + 1));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
      return value;
    }
  }
  return {};
}

std::string_view query_value(std::string_view path, std::string_view name) {
  std::string_view rest = path.substr(std::min(path.size(), http::path_only(path).size() + 1));
  rest = rest.substr(0, rest.find('#'));
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) == name) return pair.substr(std::min(pair.size(), equals + 1));
  }
  return {};
}

std::string_view make_cookie(const HashPolicy& policy, const HashInput& input,
                             std::vector<std::string_view>* new_cookies) {
  // Requests that race on one connection get the same cookie.
  base::Arena& arena = input.request.headers.arena();
  uint64_t number = base::xxhash64(absl::StrCat(std::string(input.remote_address), std::string(input.local_address)));
  std::string_view value = arena.copy(absl::StrCat(absl::Hex(number, absl::kZeroPad16)));
  std::string text = absl::StrCat(policy.name, "=\"", std::string(value), "\"");
  if (*policy.cookie_ttl_s > 0) absl::StrAppend(&text, "; Max-Age=", *policy.cookie_ttl_s);
  if (!policy.cookie_path.empty()) absl::StrAppend(&text, "; Path=", policy.cookie_path);
  for (const auto& [name, attribute] : policy.cookie_attributes) {
    absl::StrAppend(&text, "; ", name, attribute.empty() ? "" : "=", attribute);
  }
  text += "; HttpOnly";
  new_cookies->push_back(arena.copy(text));
  return value;
}

std::optional<uint64_t> hash_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return base::xxhash64(text);
}

std::optional<uint64_t> header_hash(const HashPolicy& policy, const http::RequestHead& request) {
  std::vector<std::string_view> values;
  if (policy.name == ":authority" || policy.name == "host") values.push_back(request.authority);
  if (policy.name == ":path") values.push_back(request.path);
  if (policy.name == ":method") values.push_back(request.method);
  if (policy.name == ":scheme") values.push_back(request.scheme);
  for (const http::Header& header : request.headers) {
    if (http::equals_ignoring_case(header.name, policy.name)) values.push_back(header.value);
  }
  if (values.empty()) return std::nullopt;
  std::vector<std::string> rewritten;
  rewritten.reserve(values.size());
  if (policy.regex != nullptr) {
    for (std::string_view& value : values) {
      value = rewritten.emplace_back(policy.regex->rewrite(value, policy.regex_substitution));
    }
  }
  // In what order several came says nothing.
  std::sort(values.begin(), values.end());
  uint64_t hash = 0;
  for (std::string_view value : values) hash = base::xxhash64(value, hash);
  return hash;
}

std::optional<uint64_t> hash_by(const HashPolicy& policy, const HashInput& input,
                                std::vector<std::string_view>* new_cookies) {
  switch (policy.kind) {
    case HashPolicy::Kind::kHeader:
      return header_hash(policy, input.request);
    case HashPolicy::Kind::kSourceIp:
      return hash_of(input.client_ip);
    case HashPolicy::Kind::kQueryParameter:
      return hash_of(query_value(input.request.path, policy.name));
    case HashPolicy::Kind::kCookie: {
      std::string_view value = cookie_value(input.request.headers, policy.name);
      if (value.empty() && policy.cookie_ttl_s) value = make_cookie(policy, input, new_cookies);
      return hash_of(value);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> request_hash(const std::vector<HashPolicy>& policies, const HashInput& input,
                                     std::vector<std::string_view>* new_cookies) {
  std::optional<uint64_t> hash;
  for (const HashPolicy& policy : policies) {
    std::optional<uint64_t> each = hash_by(policy, input, new_cookies);
    if (each) hash = hash ? std::rotl(*hash, 1) ^ *each : *each;
    if (hash && policy.terminal) break;
  }
  return hash;
}

}  // namespace weft::route
