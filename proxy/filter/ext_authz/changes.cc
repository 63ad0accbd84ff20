#include "proxy/filter/ext_authz/changes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proxy/codec/http1/chars.h"

namespace weft::filter {
namespace {

using Action = HeaderChange::Action;
using Operation = ChangeRules::Operation;
using codec::http1::is_field_value;
using codec::http1::is_token;
using http::HeaderId;

bool is_pseudo(std::string_view name) { return name.starts_with(':') || name == "host"; }

bool is_hex(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

// RFC 3986, 3.4, without what would end a parameter or the query.
bool is_parameter(std::string_view text, bool is_name) {
  constexpr std::string_view kOthers = "-._~!$'()*+,;:@/?";
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (plain || kOthers.find(c) != std::string_view::npos || (c == '=' && !is_name)) continue;
    if (c == '%' && i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2])) continue;
    return false;
  }
  return !is_name || !text.empty();
}

bool is_path(std::string_view text) {
  if (!text.starts_with('/')) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > ' ' && c != '\x7f' && c != '#'; });
}

absl::Status refused(std::string_view what, std::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat("the service asks for ", absl::string_view(what.data(), what.size()),
                                                 " \"", absl::string_view(name.data(), name.size()), "\""));
}

absl::Status check_header(const HeaderChange& change) {
  std::string_view name = change.name;
  if (name.starts_with(':')) name.remove_prefix(1);
  if (!is_token(name)) return refused("a header whose name is not valid:", change.name);
  if (!is_field_value(change.value)) return refused("a value that is not valid in header", change.name);
  return absl::OkStatus();
}

// A request has exactly one of each, so that adding to one means nothing and is left out.
absl::Status set_pseudo(const HeaderChange& change, http::RequestHead& request) {
  if (change.action != Action::kSet && change.action != Action::kSetIfPresent) return absl::OkStatus();
  base::Arena& arena = request.headers.arena();
  bool connect = request.method_id == http::Method::kConnect;
  if (change.name == ":path" && !connect && is_path(change.value)) {
    request.path = arena.copy(change.value);
  } else if ((change.name == ":authority" || change.name == "host") && http::is_authority(change.value)) {
    request.authority = arena.copy(change.value);
  } else if (change.name == ":scheme" && (change.value == "http" || change.value == "https")) {
    request.scheme = arena.copy(change.value);
  } else if (change.name == ":method" && !connect && is_token(change.value) && change.value != "CONNECT") {
    request.method = arena.copy(change.value);
    request.method_id = http::method_of(request.method);
  } else {
    return refused(absl::StrCat("the value \"", change.value, "\" of"), change.name);
  }
  return absl::OkStatus();
}

void change_header(const HeaderChange& change, http::HeaderMap& headers) {
  if (is_framing_header(change.name)) return;
  switch (change.action) {
    case Action::kAdd:
      return headers.add(change.name, change.value);
    case Action::kJoin: {
      std::string_view before;
      if (!headers.joined_value(change.name, &before)) return;
      return headers.set(change.name, headers.arena().concat(before, ",", change.value));
    }
    case Action::kAddIfAbsent:
      if (headers.find(change.name) == nullptr) headers.add(change.name, change.value);
      return;
    case Action::kSet:
      return headers.set(change.name, change.value);
    case Action::kSetIfPresent:
      if (headers.find(change.name) != nullptr) headers.set(change.name, change.value);
      return;
  }
}

// False, with an error if that is one: it is to be left out.
bool may_change(const ChangeRules* rules, Operation operation, const std::string& name, absl::Status* error) {
  if (rules == nullptr || rules->allow(operation, name)) return true;
  if (rules->forbidden_is_error) *error = refused("a change that the rules forbid, of header", name);
  return false;
}

absl::Status apply_changes(const Answer& answer, const ChangeRules* rules, http::RequestHead& request) {
  for (const HeaderChange& change : answer.request_headers) {
    if (absl::Status valid = check_header(change); !valid.ok()) return valid;
    bool appends = change.action == Action::kJoin || change.action == Action::kAdd;
    absl::Status error;
    if (!may_change(rules, appends ? Operation::kAppend : Operation::kSet, change.name, &error)) {
      if (!error.ok()) return error;
      continue;
    }
    if (!is_pseudo(change.name)) {
      change_header(change, request.headers);
    } else if (absl::Status set = set_pseudo(change, request); !set.ok()) {
      return set;
    }
  }
  for (const std::string& name : answer.removed_headers) {
    absl::Status error;
    if (!may_change(rules, Operation::kRemove, name, &error)) {
      if (!error.ok()) return error;
      continue;
    }
    if (!is_pseudo(name) && !is_framing_header(name)) request.headers.remove(name);
  }
  return absl::OkStatus();
}

std::string_view name_of(std::string_view parameter) { return parameter.substr(0, parameter.find('=')); }

}  // namespace

bool is_framing_header(std::string_view name) {
  switch (http::header_id(name)) {
    case HeaderId::kConnection:
    case HeaderId::kContentLength:
    case HeaderId::kHttp2Settings:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kTe:
    case HeaderId::kTrailer:
    case HeaderId::kTransferEncoding:
    case HeaderId::kUpgrade:
      return true;
    default:
      return false;
  }
}

bool ChangeRules::allow(Operation operation, std::string_view lower_name) const {
  if (operation == Operation::kRemove && is_pseudo(lower_name)) return false;
  if (forbidden != nullptr && forbidden->matches(lower_name)) return false;
  if (allowed != nullptr && allowed->matches(lower_name)) return true;
  if (none) return false;
  bool is_routing =
      lower_name == "host" || lower_name == ":authority" || lower_name == ":method" || lower_name == ":scheme";
  if (!routing && is_routing) return false;
  if (lower_name.starts_with(':') && (operation == Operation::kAppend || no_system)) return false;
  return envoy || !lower_name.starts_with("x-envoy");
}

absl::Status check_headers(const std::vector<HeaderChange>& changes) {
  for (const HeaderChange& change : changes) {
    if (absl::Status valid = check_header(change); !valid.ok()) return valid;
  }
  return absl::OkStatus();
}

void change_headers(const std::vector<HeaderChange>& changes, http::HeaderMap& headers) {
  for (const HeaderChange& change : changes) {
    if (!is_pseudo(change.name)) change_header(change, headers);
  }
}

void set_reply_headers(const std::vector<HeaderChange>& changes, http::HeaderMap& headers) {
  for (const HeaderChange& change : changes) {
    if (!is_framing_header(change.name)) headers.remove(change.name);
  }
  for (const HeaderChange& change : changes) {
    if (!is_framing_header(change.name) && !is_pseudo(change.name)) headers.add(change.name, change.value);
  }
}

std::string change_query(std::string_view path, const std::vector<std::pair<std::string, std::string>>& set,
                         const std::vector<std::string>& removed) {
  size_t mark = std::min(path.find('?'), path.size());
  std::string_view query = path.substr(std::min(mark + 1, path.size()));
  std::vector<std::string> parameters;
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    parameters.emplace_back(query.substr(0, end));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  for (const auto& [name, value] : set) {
    std::string parameter = name + '=' + value;
    auto is_named = [&](const std::string& each) { return name_of(each) == name; };
    auto first = std::find_if(parameters.begin(), parameters.end(), is_named);
    if (first == parameters.end()) {
      parameters.push_back(std::move(parameter));
      continue;
    }
    *first = std::move(parameter);
    parameters.erase(std::remove_if(first + 1, parameters.end(), is_named), parameters.end());
  }
  for (const std::string& name : removed) {
    std::erase_if(parameters, [&](const std::string& each) { return name_of(each) == name; });
  }
  std::string result(path.substr(0, mark));
  char separator = '?';
  for (const std::string& each : parameters) {
    result += separator + each;
    separator = '&';
  }
  return result;
}

absl::Status change_request(const Answer& answer, const ChangeRules* rules, const RequestLimits& limits,
                            http::RequestHead& request) {
  absl::Status applied = apply_changes(answer, rules, request);
  if (!applied.ok()) return applied;
  for (const auto& [name, value] : answer.query_set) {
    if (!is_parameter(name, true) || !is_parameter(value, false)) {
      return refused("a query parameter that is not valid:", name);
    }
  }
  if (!request.path.empty() && (!answer.query_set.empty() || !answer.query_removed.empty())) {
    request.path = request.headers.arena().copy(change_query(request.path, answer.query_set, answer.query_removed));
  }
  size_t bytes = request.headers.byte_size() + request.path.size() + request.authority.size() + request.method.size();
  if (request.headers.size() > limits.max_headers || bytes > limits.max_header_bytes) {
    return absl::InvalidArgumentError("the service asks for more headers than a request may have");
  }
  return absl::OkStatus();
}

}  // namespace weft::filter
