#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proxy/filter/ext_authz/answer.h"

namespace weft::filter {
namespace {

using Action = HeaderChange::Action;

constexpr std::string_view kHeadersToRemove = "x-envoy-auth-headers-to-remove";

std::vector<std::string> names_in(std::string_view list) {
  std::vector<std::string> names;
  for (absl::string_view each : absl::StrSplit(absl::string_view(list.data(), list.size()), ',')) {
    each = absl::StripAsciiWhitespace(each);
    if (!each.empty()) names.push_back(absl::AsciiStrToLower(each));
  }
  return names;
}

bool goes_to_client(const AuthzService& service, const std::string& name) {
  if (service.to_client.empty()) return name != "host";
  return name == "www-authenticate" || name == "location" || service.to_client.contains(name);
}

}  // namespace

Answer read_http_answer(const AuthzService& service, const http::ResponseHead& head, std::string_view body,
                        base::Arena& arena) {
  if (head.status / 100 == 5)
    return Answer::failed(absl::StrCat("the service answered with HTTP status ", head.status));
  Answer answer;
  bool allowed = head.status == 200;
  answer.kind = allowed ? Answer::Kind::kAllowed : Answer::Kind::kDenied;
  if (!allowed) {
    answer.status = head.status;
    answer.body = body;
  }
  for (const http::Header& each : head.headers) {
    std::string name = absl::AsciiStrToLower({each.name.data(), each.name.size()});
    std::string value(each.value);
    if (name == kHeadersToRemove) {
      for (std::string& removed : names_in(value)) {
        if (allowed) answer.removed_headers.push_back(std::move(removed));
      }
      continue;
    }
    if (service.to_metadata.contains(name)) {
      answer.metadata.push_back({arena.copy(name), http::MetadataValue::of(arena.copy(value))});
    }
    if (!allowed) {
      if (goes_to_client(service, name)) answer.response_headers.push_back({name, value, Action::kAdd});
      continue;
    }
    if (service.to_upstream.contains(name)) answer.request_headers.push_back({name, value, Action::kSet});
    if (service.to_upstream_appended.contains(name)) answer.request_headers.push_back({name, value, Action::kAdd});
    if (service.to_client_on_success.contains(name)) answer.response_headers.push_back({name, value, Action::kAdd});
  }
  return answer;
}

}  // namespace weft::filter
