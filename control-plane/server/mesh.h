#pragma once

// The model that is in force, and a view of it for each audience that has a node. Models come in as they are made; when
// they go out to the views is decided by two debounces, one for endpoints alone, which are small and hurried, and one
// for the rest. No I/O. One thread, the hub's.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "control-plane/compile/compile.h"
#include "control-plane/registry/model.h"
#include "control-plane/xds/debounce.h"
#include "control-plane/xds/hub.h"

namespace weft::server {

class Mesh : public xds::Views {
 public:
  struct Limits {
    xds::Debounce::Limits all;
    xds::Debounce::Limits endpoints{.quiet_ms = 10, .at_most_ms = 100};
  };

  Mesh(registry::ModelPointer model, Limits limits);

  // `changed`: against the model given before.
  void set(registry::ModelPointer model, const registry::ChangeSet& changed, int64_t now_ms);

  // When advance() has something to do; nothing if it has not.
  std::optional<int64_t> due_ms() const;
  // Brings the views to where they are due by now. True if any changed.
  bool advance(int64_t now_ms);

  // A node says by its metadata where it belongs: `namespace` ("default" if it does not), and `outbound_port` for a
  // proxy that wants a listener on that port of loopback.
  const snapshot::View& acquire(const envoy::config::core::v3::Node& node) override;
  void release(const snapshot::View& view) override;

  size_t view_count() const { return audiences_.size(); }
  // The newest.
  const registry::Model& model() const { return *newest_; }

 private:
  struct Audience {
    snapshot::View view;
    int users = 0;
  };

  void apply(const registry::Model& after, const registry::ChangeSet& changed);

  snapshot::Interner interner_;
  std::map<compile::Audience, std::unique_ptr<Audience>> audiences_;
  // What the views are of, and the newest.
  registry::ModelPointer applied_;
  registry::ModelPointer newest_;
  // What is different between the two; endpoints alone are apart from the rest.
  registry::ChangeSet pending_;
  std::set<registry::ServiceName> pending_endpoints_;
  xds::Debounce debounce_;
  xds::Debounce endpoint_debounce_;
};

// Which audience a node belongs to.
compile::Audience audience_of(const envoy::config::core::v3::Node& node);

}  // namespace weft::server
