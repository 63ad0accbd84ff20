#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "proxy/http/cause.h"
#include "proxy/observe/hop_identity.h"
#include "proxy/observe/hop_metrics.h"
#include "proxy/observe/request_record.h"

// Counts what passes one connection manager or TCP proxy, with Istio's labels ("Istio Standard Metrics") and our own
// `cause`. Made by config/compile, immutable, shared by all workers.

namespace weft::observe {

enum class HopSide : uint8_t { kSource, kDestination };

// One connection that is no HTTP, as it is known when something of it is counted.
struct TcpHop {
  HopEnds ends;
  http::Cause cause = http::Cause::kNone;
};

class HopReporter {
 public:
  // `self`: whom the proxy stands by. An empty part of it is "unknown".
  HopReporter(std::shared_ptr<HopMetrics> metrics, HopSide side, WorkloadIdentity self);

  HopSide side() const { return side_; }
  // The value of kPeerHeader on requests to others in the mesh; empty where the certificate says it all.
  const std::string& peer_header() const { return peer_header_; }

  // A request that is over. On the worker's thread, as all that follow.
  void count_request(const RequestRecord& record, uint32_t worker) const;
  void count_opened(const TcpHop& hop, uint32_t worker, int64_t now_ns) const;
  // Bytes of the caller's, and of the one who is called, since the last call.
  void count_bytes(const TcpHop& hop, uint64_t received, uint64_t sent, uint32_t worker, int64_t now_ns) const;
  void count_closed(const TcpHop& hop, uint32_t worker, int64_t now_ns) const;

 private:
  // What became of a request or connection.
  struct Fate {
    bool tcp = false;
    bool grpc = false;
    bool retry_limit = false;
    uint8_t grpc_status = 0;  // One more than gRPC's, at most kOtherGrpcStatus; 0: none.
    uint16_t status = 0;
    http::Cause cause = http::Cause::kNone;
  };
  static constexpr uint8_t kOtherGrpcStatus = 18;
  enum class Security : uint8_t { kUnknown, kNone, kMutual };

  HopCell& cell(const HopEnds& ends, const Fate& fate, uint32_t worker, int64_t now_ns) const;
  HopKey key_of(const HopEnds& ends, const Fate& fate) const;
  Security security_of(const HopEnds& ends) const;
  HopSeries series_of(const HopEnds& ends, const Fate& fate) const;
  HopSeries overflow_of(const Fate& fate) const;
  static Fate fate_of(const RequestRecord& record);

  const std::shared_ptr<HopMetrics> metrics_;
  const HopSide side_;
  const WorkloadIdentity self_;
  const std::string peer_header_;
};

}  // namespace weft::observe
