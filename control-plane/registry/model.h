#pragma once

// The merged model: every service with its endpoints, the routes attached to it and the policies that hold for it, all
// references resolved. Made by Registry (registry.h) from the stores' objects, and all that `compile` reads.
//
// A Model is immutable and shared; any thread may read one. The next model shares everything that did not change, so
// one that differs in an endpoint costs one service's endpoints. Nothing in here is invalid: what was refused, and
// routes and policies that are not Accepted, are only in the objects' status.

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "control-plane/registry/shared_map.h"
#include "control-plane/registry/visibility.h"
#include "control-plane/registry/workload.h"
#include "control-plane/source/object.h"

namespace gateway::v1 {
class GRPCRouteSpec;
class HTTPRouteSpec;
class TCPRouteSpec;
class TLSRouteSpec;
}  // namespace gateway::v1

namespace weft::v1 {
class AuthorizationPolicySpec;
class ExternalAuthorizerSpec;
class RequestAuthenticationSpec;
class TrafficPolicySpec;
}  // namespace weft::v1

namespace weft::control::registry {

// Which object, as of which change of the store, says it.
struct Origin {
  source::Key key;
  source::Revision revision = 0;

  bool operator==(const Origin&) const = default;
};

inline std::string_view part_text(const ServiceName& name) { return name.name; }
inline std::string_view part_text(const source::Key& key) { return key.name; }

// What a port speaks. kDetect: nobody said; the proxy looks at the first bytes.
enum class AppProtocol : uint8_t { kDetect, kHttp, kHttp2, kGrpc, kTls, kTcp };

struct ServicePort {
  // Empty only where the service has one port.
  std::string name;
  uint16_t port = 0;
  AppProtocol app_protocol = AppProtocol::kDetect;
  // The workload's own; 0 where only its name is known.
  uint16_t target_port = 0;
};

// How a service's endpoints are found: kStatic by the addresses in Endpoints, kDns by looking up the names there;
// kNone: it has none, and a connection goes to where its application made it.
enum class Resolution : uint8_t { kStatic, kDns, kNone };

struct Service {
  ServiceName name;
  Origin origin;
  std::vector<std::pair<std::string, std::string>> labels;  // sorted
  // The DNS names that callers use, most specific last: "cart", "cart.shop", "cart.shop.svc",
  // "cart.shop.svc.cluster.local". The first is for callers of the same namespace only. An external service has the
  // hosts it declares, for all.
  std::vector<std::string> hosts;
  // Virtual addresses that its object gives; empty for a headless service, whose callers connect to endpoints' own
  // addresses.
  std::vector<std::string> addresses;
  // Those that it was given in their stead (virtual_addresses.h); a headless service has none, nor has one whose
  // connections keep their destination, or that is known by a wildcard.
  std::vector<std::string> assigned;
  bool headless = false;
  // TCP ports by number. UDP ports are not the mesh's.
  std::vector<ServicePort> ports;
  Resolution resolution = Resolution::kStatic;
  // Endpoints that are not ready get traffic too.
  bool publish_not_ready = false;
  // Who may see it.
  Export exported;
  // As whom its workloads may be known: names of service accounts of its namespace, at least one. An external service
  // has none.
  std::vector<std::string> service_accounts;

  // It has hosts "*.example.com", which are many.
  bool has_wildcard_host() const;
  // By which applications call it; empty for a headless service, and where nobody could tell by it who was called.
  const std::vector<std::string>& virtual_addresses() const { return addresses.empty() ? assigned : addresses; }
  // Null if there is none.
  const ServicePort* port(uint16_t number) const;
  // The numbers of the ports behind which a workload's application on this port stands: those whose target it is, or
  // else the only one.
  std::vector<uint16_t> ports_of_app(uint16_t app_port) const;
};

struct Endpoint {
  // An IP address without brackets; with Resolution::kDns a DNS name.
  std::string address;
  uint16_t port = 0;
  // In proportion to the service's other endpoints; at least 1.
  uint32_t weight = 1;
  // New requests may go there.
  bool ready = true;
  // Not ready, but it serves what it has: it drains.
  bool draining = false;
  std::string zone;
  std::string node_name;
  // The workload's own name, such as a pod's, where it is known.
  std::string workload;
  // It takes mutual TLS of the mesh.
  bool mtls = false;
  // It could, whatever mode holds there: that of its application's port.
  bool can_mtls = false;
  uint16_t app_port = 0;
  // Of a workload that announced itself.
  WorkloadLabels labels;

  auto operator<=>(const Endpoint&) const = default;
};

// The endpoints of one service, by its ports.
struct Endpoints {
  struct Port {
    uint16_t service_port = 0;
    // Sorted by address and port, each once.
    std::vector<Endpoint> endpoints;
  };
  // Of every port of the service, in the service's order; a port may have none.
  std::vector<Port> ports;

  // Empty if the service has no such port.
  const std::vector<Endpoint>& of(uint16_t service_port) const;
};

// What holds for a service's port, or is laid over it for a rule of a route: for each section the most specific
// policy's. `spec` has no targetRefs.
struct EffectivePolicy {
  std::shared_ptr<const v1::TrafficPolicySpec> spec;
  struct Section {
    std::string field;  // "timeouts", "circuitBreaker" …
    Origin origin;
  };
  std::vector<Section> sections;
};
using EffectivePolicyPointer = std::shared_ptr<const EffectivePolicy>;

// Where a rule sends a share of its traffic.
struct Backend {
  ServiceName service;
  uint16_t port = 0;
  // 0 takes no traffic.
  uint32_t weight = 1;
  // Why the reference leads nowhere ("BackendNotFound", "RefNotPermitted", "InvalidKind"); its share is answered with
  // 500, or its connections are closed. Empty when it is good.
  std::string unresolved_reason;
};

// One rule of a route; backends[i] is of spec.rules[].backendRefs[i].
struct RouteRule {
  std::vector<Backend> backends;
  // In the order of the rule's RequestMirror filters, then those of backend 0, of backend 1 …
  std::vector<Backend> mirrors;
  // From policies that target the route or this rule, only `timeouts` and `retry`; null if there are none. What it does
  // not set is as the called service's port has it. timeouts and retry in the rule itself win over it.
  EffectivePolicyPointer policy;
};

struct Route {
  using Spec =
      std::variant<std::shared_ptr<const gateway::v1::HTTPRouteSpec>, std::shared_ptr<const gateway::v1::GRPCRouteSpec>,
                   std::shared_ptr<const gateway::v1::TCPRouteSpec>, std::shared_ptr<const gateway::v1::TLSRouteSpec>>;
  Origin origin;
  int64_t created_ms = 0;  // since the epoch
  Spec spec;
  // One for each of spec's rules.
  std::vector<RouteRule> rules;
};

// A route as attached to one service.
struct AttachedRoute {
  std::shared_ptr<const Route> route;
  // Only traffic to this port; of every port if unset.
  std::optional<uint16_t> port;
  // The route stands in another namespace than the service: it is only for clients of its own, and for these it takes
  // the place of the service's own routes.
  bool consumer = false;
};

// The routes of one service, oldest first, then by namespace and name: the order of precedence between equal matches.
struct Routes {
  std::vector<AttachedRoute> attached;
};

// What holds for each port of a service, in the order of its ports.
struct Policies {
  std::vector<EffectivePolicyPointer> ports;
};

// What a Scope lets workloads see.
struct Scope {
  Origin origin;
  // Sorted, each once.
  std::vector<HostPattern> hosts;
  // Connections to where no service is known to be are closed; unset if it says nothing of it.
  std::optional<bool> refuses_unknown;
};
using ScopePointer = std::shared_ptr<const Scope>;

// The Scopes of one namespace that hold.
struct NamespaceScopes {
  // Null if only some services have one.
  ScopePointer whole;
  std::map<std::string, ScopePointer> of_service;
};

// Whom a policy with action CUSTOM asks.
struct Authorizer {
  // "ExternalAuthorizer/weft-system/opa", or without a namespace as the policy names it, where there is none.
  std::string name;
  // Unset, and null, if there is none.
  Origin origin;
  std::shared_ptr<const v1::ExternalAuthorizerSpec> spec;
  // The service that is asked, and by which name.
  ServiceName service;
  uint16_t port = 0;
  std::string host;
  // Why it cannot be asked, for people: what its policies match is refused. Empty if it can.
  std::string trouble;
};

// One AuthorizationPolicy: who may call, or may not.
struct Authorization {
  enum class Action : uint8_t { kAllow, kDeny, kAudit, kCustom };
  Origin origin;
  std::shared_ptr<const v1::AuthorizationPolicySpec> spec;
  Action action = Action::kAllow;
  // Of kCustom alone, and then never null.
  std::shared_ptr<const Authorizer> authorizer;
  // It refuses nobody.
  bool dry_run = false;
  // For whose workloads, of its namespace; for all if empty.
  std::vector<std::string> services;
};

// One RequestAuthentication: whose tokens are taken.
struct RequestAuthentication {
  Origin origin;
  std::shared_ptr<const v1::RequestAuthenticationSpec> spec;
  std::vector<std::string> services;  // As above.
};

// Each by name.
struct NamespaceAuthorizations {
  std::vector<Authorization> policies;
  std::vector<RequestAuthentication> tokens;
};
// Those of one workload. Each keeps alive what it is from.
using Authorizations = std::vector<std::shared_ptr<const Authorization>>;
using RequestAuthentications = std::vector<std::shared_ptr<const RequestAuthentication>>;
struct CallerRules {
  Authorizations policies;
  RequestAuthentications tokens;
};

// A namespace as a key of a SharedMap.
struct NamespaceName {
  std::string text;

  auto operator<=>(const NamespaceName&) const = default;
};
inline std::string_view part_text(const NamespaceName& name) { return name.text; }

// Whether a port's callers must show who they are (weft.v1.PeerAuthentication).
enum class MtlsMode : uint8_t { kPermissive, kStrict, kDisable };

// What a PeerAuthentication says. What it leaves open is as the more general one has it.
struct Mtls {
  Origin origin;
  std::optional<MtlsMode> mode;
  // By the application's own port.
  std::map<uint16_t, MtlsMode> ports;
};

// The PeerAuthentications of one namespace that hold.
struct NamespaceMtls {
  // Null if only some services have one.
  std::shared_ptr<const Mtls> whole;
  std::map<std::string, std::shared_ptr<const Mtls>> of_service;
};
// Whether any of them says DISABLE.
bool may_be_disabled(const NamespaceMtls& mtls);

class Model {
 public:
  // Of the newest change that it contains.
  source::Revision revision = 0;

  // The four parts of a service change independently. Each service stands in all four maps.
  SharedMap<ServiceName, Service> services;
  SharedMap<ServiceName, Endpoints> endpoints;
  SharedMap<ServiceName, Routes> routes;
  SharedMap<ServiceName, Policies> policies;

  // `services` by their namespace.
  SharedMap<NamespaceName, SharedMap<ServiceName, Service>> by_namespace;
  SharedMap<NamespaceName, NamespaceScopes> scopes;
  SharedMap<NamespaceName, NamespaceMtls> mtls;
  SharedMap<NamespaceName, NamespaceAuthorizations> authorizations;

  // The Scope that holds for workloads of a service (which may be empty: not known): the service's own, its namespace's
  // or the mesh's. Null if there is none.
  ScopePointer scope_for(const std::string& namespace_name, const std::string& service) const;

  // What holds for workloads of a service at the port on which their application listens.
  MtlsMode mtls_mode(const std::string& namespace_name, const std::string& service, uint16_t app_port) const;
  // What holds for workloads of a service: the mesh's policies, its namespace's and its own.
  CallerRules caller_rules_for(const ServiceName& service) const;

  // Whether connections of these workloads to where no service is known to be are closed: as that Scope says, or else
  // the mesh's.
  bool refuses_unknown(const std::string& namespace_name, const std::string& service) const;

  // The routes that clients of `client_namespace` follow when they call `port` of the service: consumer routes of their
  // namespace, or else the service's own. In order of precedence; empty means straight to the service.
  std::vector<std::shared_ptr<const Route>> routes_for(const ServiceName& service, uint16_t port,
                                                       std::string_view client_namespace) const;
};
using ModelPointer = std::shared_ptr<const Model>;

// What is different between a model and an earlier one: services by the part that was added, changed or removed. A
// service that is new or gone stands in all four.
struct ChangeSet {
  std::set<ServiceName> services;
  std::set<ServiceName> endpoints;
  std::set<ServiceName> routes;
  std::set<ServiceName> policies;
  // Namespaces whose Scopes changed, and those where who may call did.
  std::set<std::string> scopes;
  std::set<std::string> authorizations;
  // Namespaces whose PeerAuthentications changed.
  std::set<std::string> mtls;

  // More than endpoints, which go out by themselves.
  bool has_rest() const {
    return !services.empty() || !routes.empty() || !policies.empty() || !scopes.empty() || !authorizations.empty() ||
           !mtls.empty();
  }
  bool empty() const { return endpoints.empty() && !has_rest(); }
  // For a reader that skips models: what changed in either.
  void merge(const ChangeSet& later);
};

}  // namespace weft::control::registry
