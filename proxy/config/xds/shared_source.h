#pragma once

#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/xds/grpc_source.h"

// One source over gRPC, shared by all whose configuration names the same: what they want is asked for together, and
// what comes is given to those who want it. So it is with the one aggregated source of the process (`ads: {}`), and
// with sources of their own that are equal. Main thread.

namespace weft::config::xds {

class SharedSource final : private Consumer {
 public:
  // As GrpcSource.
  SharedSource(pool::WorkerContext& context, GrpcSourceOptions options, StreamStates& states);
  ~SharedSource();

  // A share of it for one type; what it asked for is given up with it. The consumer outlives the share, the share not
  // this object.
  std::unique_ptr<Source> share(Type type, Consumer& consumer, int64_t initial_fetch_timeout_ms);
  bool unused() const;

 private:
  class Share;

  std::vector<Refusal> on_update(Type type, const Update& update) override;
  void on_fetch_timeout(Type type, const std::vector<std::string>& names) override;
  // Tells the source what all shares of a type want together, but for some.
  void ask(Type type, int64_t initial_fetch_timeout_ms, const std::vector<std::string>& without = {});
  bool wanted_by_others(Type type, const Share& than, const std::vector<std::string>& names);
  std::set<Share*>& shares(Type type) { return shares_[static_cast<size_t>(type)]; }

  std::array<std::set<Share*>, kTypes> shares_;
  GrpcSource source_;
};

}  // namespace weft::config::xds
