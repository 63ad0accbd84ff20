#include "control-plane/source/kind.h"

#include <google/protobuf/message.h>

#include <array>

#include "absl/strings/match.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "gateway/v1/reference_grant.pb.h"
#include "gateway/v1/stream_route.pb.h"
#include "kubernetes/core/v1/namespace.pb.h"
#include "kubernetes/core/v1/service.pb.h"
#include "kubernetes/discovery/v1/endpoint_slice.pb.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_authorizer.pb.h"
#include "weft/v1/external_service.pb.h"
#include "weft/v1/peer_authentication.pb.h"
#include "weft/v1/request_authentication.pb.h"
#include "weft/v1/scope.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::source {

namespace {

constexpr std::string_view kGateway = "gateway.networking.k8s.io";
constexpr std::array<std::string_view, 1> kV1 = {"v1"};
constexpr std::array<std::string_view, 2> kV1OrBeta = {"v1", "v1beta1"};
constexpr std::array<std::string_view, 2> kV1OrAlpha = {"v1", "v1alpha2"};
constexpr std::array<std::string_view, 2> kAlphaOrV1 = {"v1alpha2", "v1"};

bool same_word(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

}  // namespace

std::span<const KindInfo> all_kinds() {
  using kubernetes::core::v1::Namespace;
  using kubernetes::core::v1::Service;
  using kubernetes::discovery::v1::EndpointSlice;
  static const std::array kKinds = {
      KindInfo{Kind::kNamespace, "Namespace", "", kV1, "namespaces", "ns", false, &Namespace::default_instance()},
      KindInfo{Kind::kService, "Service", "", kV1, "services", "svc", true, &Service::default_instance()},
      KindInfo{Kind::kEndpointSlice, "EndpointSlice", "discovery.k8s.io", kV1, "endpointslices", "", true,
               &EndpointSlice::default_instance()},
      KindInfo{Kind::kExternalService, "ExternalService", "weft.mesh", kV1, "externalservices", "ext", true,
               &v1::ExternalService::default_instance()},
      KindInfo{Kind::kHttpRoute, "HTTPRoute", kGateway, kV1OrBeta, "httproutes", "", true,
               &gateway::v1::HTTPRoute::default_instance()},
      KindInfo{Kind::kGrpcRoute, "GRPCRoute", kGateway, kV1OrAlpha, "grpcroutes", "", true,
               &gateway::v1::GRPCRoute::default_instance()},
      KindInfo{Kind::kTcpRoute, "TCPRoute", kGateway, kAlphaOrV1, "tcproutes", "", true,
               &gateway::v1::TCPRoute::default_instance()},
      KindInfo{Kind::kTlsRoute, "TLSRoute", kGateway, kV1OrAlpha, "tlsroutes", "", true,
               &gateway::v1::TLSRoute::default_instance()},
      KindInfo{Kind::kReferenceGrant, "ReferenceGrant", kGateway, kV1OrBeta, "referencegrants", "refgrant", true,
               &gateway::v1::ReferenceGrant::default_instance()},
      KindInfo{Kind::kTrafficPolicy, "TrafficPolicy", "weft.mesh", kV1, "trafficpolicies", "tp", true,
               &v1::TrafficPolicy::default_instance()},
      KindInfo{Kind::kScope, "Scope", "weft.mesh", kV1, "scopes", "", true, &v1::Scope::default_instance()},
      KindInfo{Kind::kPeerAuthentication, "PeerAuthentication", "weft.mesh", kV1, "peerauthentications", "pa", true,
               &v1::PeerAuthentication::default_instance()},
      KindInfo{Kind::kAuthorizationPolicy, "AuthorizationPolicy", "weft.mesh", kV1, "authorizationpolicies", "ap", true,
               &v1::AuthorizationPolicy::default_instance()},
      KindInfo{Kind::kRequestAuthentication, "RequestAuthentication", "weft.mesh", kV1, "requestauthentications", "ra",
               true, &v1::RequestAuthentication::default_instance()},
      KindInfo{Kind::kExternalAuthorizer, "ExternalAuthorizer", "weft.mesh", kV1, "externalauthorizers", "ea", true,
               &v1::ExternalAuthorizer::default_instance()},
  };
  return kKinds;
}

const KindInfo& kind_info(Kind kind) { return all_kinds()[static_cast<size_t>(kind)]; }

const KindInfo* find_kind_of_group(std::string_view group, std::string_view kind) {
  for (const KindInfo& info : all_kinds()) {
    if (info.group == group && info.name == kind) return &info;
  }
  return nullptr;
}

const KindInfo* find_kind(std::string_view api_version, std::string_view kind) {
  const size_t slash = api_version.find('/');
  const std::string_view group = slash == std::string_view::npos ? "" : api_version.substr(0, slash);
  const std::string_view version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  const KindInfo* info = find_kind_of_group(group, kind);
  if (info == nullptr) return nullptr;
  for (const std::string_view known : info->versions) {
    if (known == version) return info;
  }
  return nullptr;
}

const KindInfo* find_kind_by_word(std::string_view word) {
  for (const KindInfo& info : all_kinds()) {
    if (same_word(word, info.name) || same_word(word, info.plural)) return &info;
    if (!info.short_name.empty() && same_word(word, info.short_name)) return &info;
  }
  return nullptr;
}

std::unique_ptr<google::protobuf::Message> make_message(Kind kind) {
  return std::unique_ptr<google::protobuf::Message>(kind_info(kind).prototype->New());
}

}  // namespace weft::control::source
