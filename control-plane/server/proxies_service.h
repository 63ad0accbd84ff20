#pragma once

// The gRPC services about proxies, for weftctl (api/weft/v1/proxies.proto) and for those who speak Envoy's client
// status discovery (CSDS): thin, before what the hub's thread knows. They tell all of a proxy's configuration, so they
// stand on the control socket, not where proxies connect. Called on gRPC's threads.

#include "control-plane/base/clock.h"
#include "control-plane/server/xds_server.h"
#include "envoy/service/status/v3/csds.grpc.pb.h"
#include "weft/v1/proxies.grpc.pb.h"

namespace weft::control::server {

class ProxiesService : public v1::Proxies::Service {
 public:
  // Both outlive it.
  ProxiesService(XdsServer& xds, base::Clock& clock) : xds_(xds), clock_(clock) {}

  grpc::Status Status(grpc::ServerContext* context, const v1::ProxyStatusRequest* request,
                      v1::ProxyStatusResponse* response) override;
  grpc::Status Config(grpc::ServerContext* context, const v1::ProxyConfigRequest* request,
                      v1::ProxyConfigResponse* response) override;
  grpc::Status Await(grpc::ServerContext* context, const v1::AwaitRequest* request,
                     grpc::ServerWriter<v1::RolloutProgress>* writer) override;

 private:
  XdsServer& xds_;
  base::Clock& clock_;
};

class ClientStatusService : public envoy::service::status::v3::ClientStatusDiscoveryService::Service {
 public:
  explicit ClientStatusService(XdsServer& xds) : xds_(xds) {}

  using Request = envoy::service::status::v3::ClientStatusRequest;
  using Response = envoy::service::status::v3::ClientStatusResponse;
  grpc::Status FetchClientStatus(grpc::ServerContext* context, const Request* request, Response* response) override;
  grpc::Status StreamClientStatus(grpc::ServerContext* context,
                                  grpc::ServerReaderWriter<Response, Request>* stream) override;

 private:
  XdsServer& xds_;
};

}  // namespace weft::control::server
