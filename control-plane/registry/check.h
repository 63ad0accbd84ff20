#pragma once

// What the validation of all kinds is written with: mistakes and the checks that several kinds need. Only for the
// validate_*.cc files. A Check belongs to one call of validate().

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "api/text/cat.h"
#include "api/text/position.h"
#include "control-plane/registry/format.h"
#include "control-plane/registry/validate.h"

namespace gateway::v1 {
class HTTPRoute;
class GRPCRoute;
class TCPRoute;
class TLSRoute;
class ReferenceGrant;
}  // namespace gateway::v1

namespace kubernetes::meta::v1 {
class ObjectMeta;
}  // namespace kubernetes::meta::v1

namespace weft::v1 {
class PeerAuthentication;
class AuthorizationPolicy;
class ExternalAuthorizer;
class RequestAuthentication;
class TargetReference;
class TrafficPolicy;
}  // namespace weft::v1

namespace weft::control::registry {

class Check {
 public:
  void fail(std::string_view path, std::string_view what) {
    mistakes_.push_back({std::string(path), std::string(what)});
  }

  // Fails unless `right`: "expected …; got …".
  void expect(bool right, std::string_view path, std::string_view expected, std::string_view got) {
    if (!right) fail(path, text::cat("expected ", expected, "; got \"", got, "\""));
  }

  // One of the words; an empty text is none of them unless it is listed.
  void one_of(std::string_view value, std::string_view path, std::initializer_list<std::string_view> words);
  void range(uint64_t value, std::string_view path, uint64_t least, uint64_t most);
  void port(uint32_t value, std::string_view path) { range(value, path, 1, 65535); }
  void duration(std::string_view value, std::string_view path);
  // As duration, and an unset one is right.
  void optional_duration(std::string_view value, std::string_view path) {
    if (!value.empty()) duration(value, path);
  }
  void dns_name(std::string_view value, std::string_view path) {
    expect(is_dns_name(value), path, "a DNS name in lower case", value);
  }
  void app_protocol(std::string_view value, std::string_view path);

  size_t count() const { return mistakes_.size(); }
  std::vector<Mistake> take() { return std::move(mistakes_); }

 private:
  std::vector<Mistake> mistakes_;
};

inline std::string at(std::string_view path, std::string_view field) { return text::field_path(path, field); }
inline std::string at(std::string_view path, std::string_view list, int index) {
  return text::index_path(text::field_path(path, list), index);
}

void check(const gateway::v1::HTTPRoute& route, Check* check);
void check(const gateway::v1::GRPCRoute& route, Check* check);
void check(const gateway::v1::TCPRoute& route, Check* check);
void check(const gateway::v1::TLSRoute& route, Check* check);
void check(const gateway::v1::ReferenceGrant& grant, Check* check);
void check(const v1::TrafficPolicy& policy, Check* check);
void check(const v1::PeerAuthentication& authentication, Check* check);
void check(const v1::AuthorizationPolicy& policy, Check* check);
void check(const v1::RequestAuthentication& object, Check* check);
void check(const v1::ExternalAuthorizer& authorizer, Check* check);
// Of a policy for workloads, which services of its own namespace stand for.
void check_service_targets(const google::protobuf::RepeatedPtrField<v1::TargetReference>& targets,
                           const kubernetes::meta::v1::ObjectMeta& metadata, Check* check);

}  // namespace weft::control::registry
