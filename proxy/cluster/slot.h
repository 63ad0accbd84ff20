#pragma once

#include <string>
#include <utility>

#include "proxy/base/slot.h"

// The place of a cluster, by its name. What refers to a cluster (a route, a TCP proxy) refers to the slot, so that the
// cluster can come, change and go without it; every worker keeps for itself which cluster stands in a slot
// (pool::WorkerUpstreams::assign).

namespace weft::cluster {

class ClusterSlot final : public base::Slot {
 public:
  using Key = std::string;
  ClusterSlot(std::string name, uint32_t index) : Slot(index), name_(std::move(name)) {}
  const std::string& name() const { return name_; }
  const Key& key() const { return name_; }

 private:
  std::string name_;
};
using ClusterSlotPtr = std::shared_ptr<const ClusterSlot>;
using ClusterSlots = base::Slots<ClusterSlot>;

}  // namespace weft::cluster
