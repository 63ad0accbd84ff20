#pragma once

// Builds the model from the stores' changes, and says what became of each object. Only what a change touches, or what
// refers to it, is built anew. Owned by the server, which serialises all calls; the models it gives out are for any
// thread.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "control-plane/registry/authorization.h"
#include "control-plane/registry/authorizers.h"
#include "control-plane/registry/model.h"
#include "control-plane/registry/peer_authentications.h"
#include "control-plane/registry/policies.h"
#include "control-plane/registry/routes.h"
#include "control-plane/registry/scopes.h"
#include "control-plane/registry/virtual_addresses.h"
#include "control-plane/registry/workload.h"
#include "control-plane/source/store.h"

namespace weft::control::registry {

class Registry {
 public:
  // The newest model; never null.
  const ModelPointer& model() const { return model_; }

  // Takes the changes of one commit; `now_ms`, since the epoch, is when conditions have changed by it. An object that
  // is not valid in itself counts as not there.
  ChangeSet apply(source::Revision revision, const std::vector<source::Change>& changes, int64_t now_ms);

  // Takes workloads that announced themselves: each that is ready is an endpoint of its service, beside those of
  // EndpointSlices. The model's revision stays.
  ChangeSet apply_workloads(const std::vector<WorkloadChange>& changes);
  // All of them, by service. Whether one is an endpoint of any port is for is_attached() to say.
  const std::map<ServiceName, std::map<std::string, Workload>>& workloads() const { return workloads_; }
  bool is_attached(const Workload& workload) const;

  // Of services that have no address of their own; what is restored must be so before the first apply().
  VirtualAddresses& virtual_addresses() { return virtual_addresses_; }

  // The status message of the object's kind; null if nothing is to be said, or there is no such object.
  std::shared_ptr<const google::protobuf::Message> status(const source::Key& key) const;

 private:
  // What one call of apply() has to build anew.
  struct Dirty {
    std::set<ServiceName> services;
    std::set<ServiceName> endpoints;
    std::set<ServiceName> attached;
    std::set<ServiceName> policies;
    std::set<source::Key> routes;
    std::set<source::Key> policy_statuses;
    std::set<std::string> hosts;
    // Namespaces whose Scopes changed, and Scopes of which something new is to be said.
    std::set<std::string> scopes;
    std::set<source::Key> scope_statuses;
    // Namespaces whose PeerAuthentications changed, or of which something new is to be said.
    std::set<std::string> mtls;
    std::set<std::string> mtls_statuses;
    // The same of AuthorizationPolicies and RequestAuthentications.
    std::set<std::string> authorizations;
    std::set<source::Key> authorization_statuses;
    // ExternalAuthorizers that changed, or of which something new is to be said.
    std::set<source::Key> authorizers;
  };

  void take_out(const source::Object& object, Dirty* dirty);
  void put_in(const source::Object& object, Dirty* dirty);
  void service_changed(const source::Object& object, Dirty* dirty);
  void policy_changed(const source::Object& policy, Dirty* dirty);
  void mtls_changed(const std::string& namespace_name, Dirty* dirty);
  void grant_changed(const std::string& namespace_name, Dirty* dirty);

  void settle_hosts(Dirty* dirty);
  void build_services(Model* model, const Dirty& dirty, ChangeSet* changes);
  void build_endpoints_of(const ServiceName& name, Model* model, ChangeSet* changes);
  void resolve_routes(Model* model, Dirty* dirty);
  void attach_routes(Model* model, const Dirty& dirty, ChangeSet* changes);
  void apply_policies(Model* model, const Dirty& dirty, ChangeSet* changes);
  void judge_policies(const Dirty& dirty);
  void settle_scopes(Model* model, const Dirty& dirty, ChangeSet* changes);
  void settle_mtls(Model* model, const Dirty& dirty, ChangeSet* changes);
  void judge_mtls(const Model& model, const Dirty& dirty);
  void settle_authorizations(Model* model, Dirty dirty, ChangeSet* changes);
  std::string missing_target(const PolicyTarget& target) const;

  void set_status(const source::Key& key, std::shared_ptr<google::protobuf::Message> status);
  const source::Object* find(const source::Key& key) const;
  const source::Object* find_service(const ServiceName& name) const;
  bool in_conflict(const source::Object& object) const;

  ModelPointer model_ = std::make_shared<Model>();
  int64_t now_ms_ = 0;

  // Valid objects only.
  absl::flat_hash_map<source::Key, source::Object> objects_;
  absl::flat_hash_map<source::Key, std::shared_ptr<const google::protobuf::Message>> statuses_;
  PolicyTable policies_;
  Grants grants_;
  ScopeTable scopes_;
  PeerAuthenticationTable peer_authentications_;
  VirtualAddresses virtual_addresses_;
  AuthorizationTable authorizations_;
  AuthorizerTable authorizers_;

  absl::flat_hash_map<ServiceName, std::set<source::Key>> slices_of_service_;
  // By service, and there by node.
  std::map<ServiceName, std::map<std::string, Workload>> workloads_;
  // By whom they name, as parent or as backend, whether it is there or not.
  absl::flat_hash_map<ServiceName, std::set<source::Key>> routes_naming_;
  absl::flat_hash_map<source::Key, ResolvedRoute> resolved_;
  absl::flat_hash_map<ServiceName, std::set<source::Key>> routes_attached_;
  // External services by the host that they claim, oldest first.
  std::map<std::string, std::set<std::pair<int64_t, source::Key>>> claims_of_host_;
};

}  // namespace weft::control::registry
