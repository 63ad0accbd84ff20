#pragma once

// The gRPC service about traffic, for weftctl (api/weft/v1/traffic.proto): thin, before what proxies told. It tells who
// calls whom in the whole mesh, so it stands on the control socket. Called on gRPC's threads.

#include "control-plane/telemetry/traffic.h"
#include "weft/v1/traffic.grpc.pb.h"

namespace weft::control::server {

class TrafficService : public v1::Traffic::Service {
 public:
  // `traffic` outlives it.
  explicit TrafficService(telemetry::Traffic& traffic) : traffic_(traffic) {}

  grpc::Status Get(grpc::ServerContext* context, const v1::TrafficRequest* request,
                   v1::TrafficResponse* response) override;

 private:
  telemetry::Traffic& traffic_;
};

// What of it is of a namespace; of all of them if it is empty. Pure.
v1::TrafficResponse traffic_response(const telemetry::Traffic::Now& now, const std::string& namespace_name);

}  // namespace weft::control::server
