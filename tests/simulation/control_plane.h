#pragma once

// The control plane in a simulated run: the real registry, views and hub, wired as control-plane/server and xds do it
// with threads and gRPC, on the world's clock. A crash loses all of it but the store. It checks what it is asked to
// send: at most one response in flight of a stream and type, nothing that was refused, no queue that grows. One thread.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "control-plane/server/control.h"
#include "control-plane/server/mesh.h"
#include "control-plane/server/workload_store.h"
#include "control-plane/xds/hub.h"
#include "tests/simulation/link.h"
#include "tests/simulation/world.h"

namespace weft::simulation {

class ControlPlane {
 public:
  // How long after a crash the last proxy learns of it.
  static constexpr int64_t kCrashKnownUs = 5'000'000;

  // `path`: an SQLite file; empty keeps the store in memory.
  ControlPlane(World& world, std::string path);
  ~ControlPlane();

  // Everything in memory is gone; streams break. start() brings it back with what the store holds.
  void crash();
  void start();
  bool up() const { return running_ != nullptr; }

  // A stream has reached it. False if it is down: the connection is refused.
  bool accept(const LinkPointer& link, control::xds::Form form, std::optional<control::xds::Type> only);

  // While it is up.
  control::server::Control& control();
  const control::xds::Hub& hub() const;
  const control::server::Mesh& mesh() const;
  size_t session_count() const;
  // All that is to be known of it by heart is as much as there is.
  void check_memory();

  const std::map<control::registry::WorkloadName, control::registry::Workload>& workloads() const;
  // What the store and the workloads make, read anew by a registry of its own.
  control::registry::ModelPointer model_from_store();

  uint64_t responses() const { return responses_; }

 private:
  class Session;
  struct Running;

  void open_store();
  void tell_workloads();
  void take(const control::registry::ModelPointer& model, const control::registry::ChangeSet& changed);
  void push(int64_t now_ms);
  void tick();
  void arm();

  World& world_;
  const std::string path_;
  std::shared_ptr<control::source::Store> store_;
  // In memory: what a kill may lose of it comes again.
  std::unique_ptr<control::server::WorkloadStore> workload_store_;
  std::unique_ptr<Running> running_;
  // Counts starts, so that tasks of an earlier life do nothing.
  uint64_t life_ = 0;
  uint64_t responses_ = 0;
};

}  // namespace weft::simulation
