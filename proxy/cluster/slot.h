#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

// The place of a cluster, by its name. What refers to a cluster (a route, a TCP proxy) refers to the slot, so that the
// cluster can come, change and go without it; every worker keeps for itself which cluster stands in a slot
// (pool::WorkerUpstreams::assign). A slot goes with the last who refers to it, and its number is used again.

namespace weft::cluster {

class ClusterSlot {
 public:
  ClusterSlot(std::string name, uint32_t index) : name_(std::move(name)), index_(index) {}
  const std::string& name() const { return name_; }
  // A small number, no two slots of the process at one time have the same.
  uint32_t index() const { return index_; }

 private:
  std::string name_;
  uint32_t index_;
};
using ClusterSlotPtr = std::shared_ptr<const ClusterSlot>;

// All slots of a process. slot() is for the main thread; slots may be let go on any.
class ClusterSlots {
 public:
  // The slot of this name, made if there is none.
  ClusterSlotPtr slot(std::string_view name);

 private:
  struct Numbers {
    std::mutex mutex;  // Of a configuration's making and unmaking; no request comes here.
    std::vector<uint32_t> free;
    uint32_t next = 0;
  };
  void forget_lost();

  std::shared_ptr<Numbers> numbers_ = std::make_shared<Numbers>();
  std::map<std::string, std::weak_ptr<const ClusterSlot>, std::less<>> slots_;
  size_t look_over_at_ = 64;  // How many slots there may be before those that went are taken out.
};

}  // namespace weft::cluster
