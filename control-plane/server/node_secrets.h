#pragma once

// The secrets that discovery gives: "ROOTCA", the roots that all trust, and "default", a workload's certificate with
// its key, for proxies that do not make a key themselves, as Envoy. That one is made when a node asks for it, for its
// view alone, and again before it ends. Stands before the views, and hands each node on to them. One thread, the hub's.

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "control-plane/base/clock.h"
#include "control-plane/ca/authority.h"
#include "control-plane/server/mesh.h"
#include "control-plane/xds/hub.h"

namespace weft::control::server {

inline constexpr char kOwnSecret[] = "default";
inline constexpr char kRootsSecret[] = "ROOTCA";

class NodeSecrets : public xds::Views {
 public:
  // `views` leads to `mesh`, which keeps the secrets; all outlive it. Without an authority (null) there are none: who
  // comes in has not shown who he is.
  NodeSecrets(xds::Views& views, Mesh& mesh, ca::Authority* authority, base::Clock& clock)
      : views_(views), mesh_(mesh), authority_(authority), clock_(clock) {}

  // The roots have changed; all are told.
  void set_roots(const std::string& roots_pem);

  absl::StatusOr<const snapshot::View*> acquire(const envoy::config::core::v3::Node& node) override;
  void release(const snapshot::View& view) override;
  void heard(const snapshot::View& view, snapshot::Type type, const xds::Subscription& subscription) override;
  void running(const snapshot::View& view, snapshot::Type type, const xds::Running& running) override;
  void reported(const snapshot::View& view, const v1::ReportRequest& report) override;

  // Makes anew what is due.
  void advance();
  // When advance() has something to do, by the monotonic clock.
  std::optional<int64_t> due_ms() const;
  size_t given_count() const { return renewals_.size(); }

 private:
  struct Owner {
    ca::Identity identity;
    std::string node;
    // By the wall clock; 0: it has not asked.
    int64_t renew_at_ms = 0;
  };

  void give(const snapshot::View& view, Owner& owner);

  xds::Views& views_;
  Mesh& mesh_;
  ca::Authority* const authority_;
  base::Clock& clock_;
  absl::flat_hash_map<const snapshot::View*, Owner> owners_;
  std::set<std::pair<int64_t, const snapshot::View*>> renewals_;
};

}  // namespace weft::control::server
