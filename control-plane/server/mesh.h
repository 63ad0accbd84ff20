#pragma once

// The model that is in force, and a view of it for each audience that has a node. Models come in as they are made; when
// they go out to the views is decided by two debounces, one for endpoints alone, which are small and hurried, and one
// for the rest. No I/O. One thread, the hub's.

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "control-plane/compile/compile.h"
#include "control-plane/compile/node.h"
#include "control-plane/compile/reach.h"
#include "control-plane/registry/model.h"
#include "control-plane/server/interest.h"
#include "control-plane/server/mtls_steps.h"
#include "control-plane/xds/debounce.h"
#include "control-plane/xds/hub.h"

namespace weft::control::server {

class Mesh : public xds::Views {
 public:
  struct Limits {
    xds::Debounce::Limits all;
    xds::Debounce::Limits endpoints{.quiet_ms = 50, .at_most_ms = 50, .rest_ms = 30};
    // Of the SPIFFE IDs in the mesh.
    std::string trust_domain = "cluster.local";
    // How long a step of MtlsSteps may take; as long as a proxy announces its drain.
    int64_t mtls_step_ms = 5'000;
    // And how long it still goes on when all run it.
    int64_t mtls_settle_ms = 300;
  };

  Mesh(registry::ModelPointer model, Limits limits);

  // `changed`: against the model given before, at this time.
  void set(registry::ModelPointer model, const registry::ChangeSet& changed, int64_t changed_ms);

  // When advance() has something to do; nothing if it has not.
  std::optional<int64_t> due_ms() const;
  // Brings the views to where they are due by now. Nothing if none may have changed; else by which commits. `hurries`:
  // all that is new is due.
  std::optional<xds::Brought> advance(int64_t now_ms, bool hurries = false);
  // What has changed of this service's endpoints has not gone out to the views.
  bool owes_endpoints_of(const registry::ServiceName& name) const {
    return pending_endpoints_.contains(name) || waits_with_rest(name);
  }

  // Callers that are to change between mutual TLS and plain text do so step by step (mtls_steps.h). What is due by now;
  // as advance().
  std::optional<xds::Brought> advance_mtls(int64_t now_ms, const xds::Rollouts& rollouts);
  // How services were called before the control plane was started anew; before the first model is set.
  void restore_calls(CallStates states) { mtls_steps_.restore(std::move(states)); }
  // What is to be kept of that; steps wait for it (mtls_steps.h).
  std::optional<MtlsSteps::ToKeep> take_calls_to_keep() { return mtls_steps_.take_to_keep(); }
  void calls_kept(uint64_t ticket) { mtls_steps_.kept(ticket); }
  // All that the views were brought to has gone out by this push.
  void pushed(xds::Epoch epoch) { mtls_steps_.pushed(epoch); }
  // The control plane was started anew. Proxies may come back until this time that were told of another model.
  void await_returns(int64_t until_ms) { mtls_steps_.await_returns(until_ms); }
  // The views that have changed since it was last asked, each once.
  std::vector<const snapshot::View*> take_changed();

  // A secret for all, in place of the one before.
  void set_roots(snapshot::ResourcePointer roots);
  // A secret for the node of this view alone; nothing for a view that nodes share.
  void set_secret(const snapshot::View& view, snapshot::ResourcePointer secret);

  // What a node says of itself by its metadata is in compile/node.h.
  absl::StatusOr<const snapshot::View*> acquire(const envoy::config::core::v3::Node& node) override;
  void release(const snapshot::View& view) override;

  // Of the views that nodes share.
  size_t view_count() const { return audiences_.size() - idle_.size(); }
  // Of those that are kept for who comes back.
  size_t idle_count() const { return idle_.size(); }
  // The newest.
  const registry::Model& model() const { return *newest_; }

 private:
  struct Node;
  struct Audience {
    snapshot::View view;
    int users = 0;
    Interest::Id id = 0;
    // Its place among the idle ones while it has no users.
    std::list<const compile::Audience*>::iterator idle;
    // The nodes whose views stand on it.
    absl::flat_hash_set<const Node*> nodes;
    std::set<registry::ServiceName> borrowed;
  };
  using Audiences = std::map<compile::Audience, Audience>;
  // A stream's node that belongs to a service: on top of what it shares with its audience stands what is its own.
  struct Node {
    Audiences::iterator audience;
    registry::ServiceName service;
    std::optional<compile::Inbound> inbound;
    // A Scope object holds for it, and what it declares itself is not its audience's scope.
    bool is_limited = false;
    std::optional<compile::Hosts> declared;
    snapshot::View view;
    // Its own; null if it has none.
    snapshot::ResourcePointer secret = nullptr;
  };

  // Endpoints that go out with their service, or with how they are called.
  bool waits_with_rest(const registry::ServiceName& name) const {
    return pending_.services.contains(name) || pending_.endpoints.contains(name);
  }
  bool waits_for_mode(const registry::ServiceName& name) const;
  xds::Brought take_commits(bool all);
  bool begin_mtls_steps(const registry::Model& after, const registry::ChangeSet& changed, int64_t now_ms);
  registry::ModelPointer with_callers_held(registry::ModelPointer after) const;
  void hold_back_for_steps(bool is_changing, xds::Brought& brought);
  void apply_inbound_of(const registry::Model& model, const registry::ServiceName& service);
  void apply(const registry::Model& after, const registry::ChangeSet& changed);
  void apply(const registry::Model& after, const registry::ChangeSet& changed, Audiences::iterator audience);
  void compile_anew(const registry::Model& model, Audiences::iterator audience);
  void settle_audiences(const std::set<std::string>& changed);
  void settle_audience(Node& node);
  void apply_caller_rules(const std::set<std::string>& changed);
  void apply_inbound(const registry::Model& model, Node& node);
  void note_changed(const Audience& audience);
  Audiences::iterator acquire_audience(const compile::Audience& audience);
  void release_audience(Audiences::iterator audience);
  void drop_audience(Audiences::iterator audience);

  compile::Cache cache_;
  // Null until it is set.
  snapshot::ResourcePointer roots_;
  Audiences audiences_;
  absl::flat_hash_map<Interest::Id, Audiences::iterator> audience_of_id_;
  Interest interest_;
  // Audiences that nobody uses, the longest so first: who comes back finds what was compiled. One ends when something
  // that it sees changes, so that it costs no work.
  std::list<const compile::Audience*> idle_;
  Interest::Id last_id_ = 0;
  absl::flat_hash_set<const snapshot::View*> changed_;
  absl::flat_hash_map<const snapshot::View*, Audiences::iterator> audience_of_view_;
  absl::flat_hash_map<const snapshot::View*, std::unique_ptr<Node>> nodes_;
  std::map<registry::ServiceName, std::set<Node*>> nodes_of_service_;
  const std::string trust_domain_;
  // What the views are of, and the newest.
  registry::ModelPointer applied_;
  registry::ModelPointer newest_;
  // The commits between the two, of those that changed something; the oldest first.
  struct Commit {
    uint64_t revision = 0;
    // It has changed endpoints, and more than endpoints alone, which goes out with the rest.
    bool has_endpoints = false;
    bool has_rest = false;
  };
  std::vector<Commit> commits_;
  // Those that went out, but for steps of theirs that are not over.
  std::vector<uint64_t> commits_in_steps_;
  MtlsSteps mtls_steps_;
  // What is different between the two; endpoints alone are apart from the rest.
  registry::ChangeSet pending_;
  std::set<registry::ServiceName> pending_endpoints_;
  xds::Debounce debounce_;
  xds::Debounce endpoint_debounce_;
};

}  // namespace weft::control::server
