// The one file of the filter that knows protobuf.

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "envoy/service/auth/v3/external_auth.pb.h"
#include "proxy/filter/ext_authz/answer.h"

namespace weft::filter {
namespace {

namespace auth_v3 = envoy::service::auth::v3;
namespace core_v3 = envoy::config::core::v3;
using google::protobuf::Struct;
using google::protobuf::Value;
using Action = HeaderChange::Action;

constexpr int64_t kNanosPerSecond = 1'000'000'000;

void set_address(const transport::Address& from, core_v3::Address* to) {
  if (from.family == transport::Address::Family::kUnix) {
    to->mutable_pipe()->set_path(utf8_text(from.path));
    return;
  }
  if (from.family == transport::Address::Family::kNone) return;
  to->mutable_socket_address()->set_address(from.ip_text());
  to->mutable_socket_address()->set_port_value(from.port);
}

void set_peer(AuthzPeer peer, auth_v3::AttributeContext::Peer* to) {
  if (peer.address != nullptr) set_address(*peer.address, to->mutable_address());
  to->set_service(std::move(peer.service));
  to->set_principal(std::move(peer.principal));
  to->set_certificate(std::move(peer.certificate));
}

void set_value(const http::MetadataValue& from, Value* to) {
  using Kind = http::MetadataValue::Kind;
  switch (from.kind) {
    case Kind::kNull:
      to->set_null_value(google::protobuf::NULL_VALUE);
      return;
    case Kind::kBool:
      to->set_bool_value(from.boolean);
      return;
    case Kind::kNumber:
      to->set_number_value(from.number);
      return;
    case Kind::kString:
      to->set_string_value(utf8_text(from.text));
      return;
    case Kind::kList:
      to->mutable_list_value();
      for (const http::MetadataEntry& each : from.items())
        set_value(each.value, to->mutable_list_value()->add_values());
      return;
    case Kind::kStruct:
      to->mutable_struct_value();
      for (const http::MetadataEntry& each : from.items()) {
        set_value(each.value, &(*to->mutable_struct_value()->mutable_fields())[utf8_text(each.key)]);
      }
      return;
  }
}

// As deep as the parser of protobuf lets messages be.
http::MetadataValue value_of(const Value& from, base::Arena& arena);

http::MetadataValue list_of(const google::protobuf::ListValue& from, base::Arena& arena) {
  http::MetadataValue value;
  value.kind = http::MetadataValue::Kind::kList;
  auto* entries = static_cast<http::MetadataEntry*>(
      arena.allocate(sizeof(http::MetadataEntry) * static_cast<size_t>(from.values_size())));
  value.entries = entries;
  for (const Value& each : from.values()) {
    new (&entries[value.entry_count++]) http::MetadataEntry{{}, value_of(each, arena)};
  }
  return value;
}

http::MetadataValue struct_of(const Struct& from, base::Arena& arena) {
  http::MetadataValue value;
  value.kind = http::MetadataValue::Kind::kStruct;
  auto* entries = static_cast<http::MetadataEntry*>(arena.allocate(sizeof(http::MetadataEntry) * from.fields().size()));
  value.entries = entries;
  for (const auto& [key, each] : from.fields()) {
    new (&entries[value.entry_count++]) http::MetadataEntry{arena.copy(key), value_of(each, arena)};
  }
  return value;
}

http::MetadataValue value_of(const Value& from, base::Arena& arena) {
  http::MetadataValue value;
  switch (from.kind_case()) {
    case Value::kBoolValue:
      return http::MetadataValue::of_bool(from.bool_value());
    case Value::kNumberValue:
      value.kind = http::MetadataValue::Kind::kNumber;
      value.number = from.number_value();
      return value;
    case Value::kStringValue:
      return http::MetadataValue::of(arena.copy(from.string_value()));
    case Value::kListValue:
      return list_of(from.list_value(), arena);
    case Value::kStructValue:
      return struct_of(from.struct_value(), arena);
    default:
      return value;
  }
}

HeaderChange change_of(const core_v3::HeaderValue& header) {
  HeaderChange change;
  change.name = absl::AsciiStrToLower(header.key());
  change.value = header.value().empty() ? header.raw_value() : header.value();
  return change;
}

// False: an action that there is not.
bool read_action(const core_v3::HeaderValueOption& option, Action* action) {
  using Option = core_v3::HeaderValueOption;
  // The former spelling.
  if (option.has_append()) {
    *action = option.append().value() ? Action::kAdd : Action::kSet;
    return true;
  }
  switch (option.append_action()) {
    case Option::APPEND_IF_EXISTS_OR_ADD:
      *action = Action::kAdd;
      return true;
    case Option::ADD_IF_ABSENT:
      *action = Action::kAddIfAbsent;
      return true;
    case Option::OVERWRITE_IF_EXISTS_OR_ADD:
      *action = Action::kSet;
      return true;
    case Option::OVERWRITE_IF_EXISTS:
      *action = Action::kSetIfPresent;
      return true;
    default:
      return false;
  }
}

using Options = google::protobuf::RepeatedPtrField<core_v3::HeaderValueOption>;

// Of a request only the former spelling counts, as in Envoy: a service that says nothing of how replaces what the
// caller sent.
void read_request_changes(const Options& options, Answer* answer) {
  for (const core_v3::HeaderValueOption& option : options) {
    HeaderChange change = change_of(option.header());
    change.action = option.append().value() ? Action::kJoin : Action::kSet;
    answer->request_headers.push_back(std::move(change));
  }
}

void read_response_changes(const Options& options, Answer* answer) {
  for (const core_v3::HeaderValueOption& option : options) {
    HeaderChange change = change_of(option.header());
    if (!read_action(option, &change.action)) {
      answer->kind = Answer::Kind::kInvalid;
      answer->reason = absl::StrCat("the service asks for append_action ", static_cast<int>(option.append_action()),
                                    ", which there is not");
      return;
    }
    answer->response_headers.push_back(std::move(change));
  }
}

void read_ok(const auth_v3::OkHttpResponse& ok, Answer* answer) {
  read_request_changes(ok.headers(), answer);
  read_response_changes(ok.response_headers_to_add(), answer);
  for (const std::string& name : ok.headers_to_remove()) {
    answer->removed_headers.push_back(absl::AsciiStrToLower(name));
  }
  for (const auto& each : ok.query_parameters_to_set()) answer->query_set.emplace_back(each.key(), each.value());
  answer->query_removed.assign(ok.query_parameters_to_remove().begin(), ok.query_parameters_to_remove().end());
}

void read_reply(const auth_v3::DeniedHttpResponse& reply, Answer* answer) {
  int status = static_cast<int>(reply.status().code());
  if (status >= 200 && status <= 599) answer->status = static_cast<uint16_t>(status);
  answer->body = reply.body();
  read_response_changes(reply.headers(), answer);
}

}  // namespace

std::string write_check_request(const Question& question) {
  auth_v3::CheckRequest request;
  auth_v3::AttributeContext& attributes = *request.mutable_attributes();
  set_peer(question.source, attributes.mutable_source());
  set_peer(question.destination, attributes.mutable_destination());
  for (const auto& [key, value] : *question.own_labels) {
    (*attributes.mutable_destination()->mutable_labels())[key] = value;
  }
  attributes.mutable_request()->mutable_time()->set_seconds(question.time_ns / kNanosPerSecond);
  attributes.mutable_request()->mutable_time()->set_nanos(static_cast<int32_t>(question.time_ns % kNanosPerSecond));
  auth_v3::AttributeContext::HttpRequest& http = *attributes.mutable_request()->mutable_http();
  http.set_id(question.id);
  http.set_method(question.method);
  http.set_path(question.path);
  http.set_host(question.host);
  http.set_scheme(question.scheme);
  http.set_protocol(std::string(question.protocol));
  http.set_size(question.body_bytes);
  for (const auto& [name, value] : question.headers) {
    if (!question.raw_headers) {
      (*http.mutable_headers())[name] = value;
      continue;
    }
    core_v3::HeaderValue& header = *http.mutable_header_map()->add_headers();
    header.set_key(name);
    header.set_raw_value(value);
  }
  if (question.body_as_bytes) {
    http.set_raw_body(question.body);
  } else {
    http.set_body(question.body);
  }
  if (question.extensions != nullptr) {
    for (const auto& [key, value] : *question.extensions) (*attributes.mutable_context_extensions())[key] = value;
  }
  attributes.mutable_metadata_context();
  attributes.mutable_route_metadata_context();
  for (const auto& [name, entries] : question.metadata) {
    Struct& values = (*attributes.mutable_metadata_context()->mutable_filter_metadata())[std::string(name)];
    for (const http::MetadataEntry& each : entries) {
      set_value(each.value, &(*values.mutable_fields())[utf8_text(each.key)]);
    }
  }
  if (question.has_tls_session) attributes.mutable_tls_session()->set_sni(question.sni);
  return request.SerializeAsString();
}

Answer read_check_response(std::string_view bytes, base::Arena& arena) {
  auth_v3::CheckResponse response;
  if (!response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Answer::failed("the service's answer is no envoy.service.auth.v3.CheckResponse");
  }
  Answer answer;
  if (response.status().code() == 0) {
    answer.kind = Answer::Kind::kAllowed;
    read_ok(response.ok_response(), &answer);
  } else if (response.has_error_response()) {
    answer.reason = absl::StrCat("the service answered with an error, status ", response.status().code());
    read_reply(response.error_response(), &answer);
  } else {
    answer.kind = Answer::Kind::kDenied;
    read_reply(response.denied_response(), &answer);
  }
  const Struct& metadata = response.ok_response().has_dynamic_metadata() ? response.ok_response().dynamic_metadata()
                                                                         : response.dynamic_metadata();
  for (const auto& [key, value] : metadata.fields()) {
    answer.metadata.push_back({arena.copy(key), value_of(value, arena)});
  }
  return answer;
}

}  // namespace weft::filter
