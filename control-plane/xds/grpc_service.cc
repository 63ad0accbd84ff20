#include "control-plane/xds/grpc_service.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/xds/encode.h"
#include "envoy/service/cluster/v3/cds.grpc.pb.h"
#include "envoy/service/discovery/v3/ads.grpc.pb.h"
#include "envoy/service/endpoint/v3/eds.grpc.pb.h"
#include "envoy/service/listener/v3/lds.grpc.pb.h"
#include "envoy/service/route/v3/rds.grpc.pb.h"
#include "envoy/service/secret/v3/sds.grpc.pb.h"
#include "weft/v1/report.pb.h"

namespace weft::control::xds {

namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;

constexpr char kReportMethod[] = "/weft.v1.ProxyReports/Report";

struct Method {
  std::string path;
  Form form;
  std::optional<Type> only;
};

const std::vector<Method>& methods() {
  static const auto* const kMethods = [] {
    auto* all = new std::vector<Method>();
    const auto add = [all](const char* service, const char* suffix, std::optional<Type> only) {
      all->push_back({absl::StrCat("/", service, "/Stream", suffix), Form::kStateOfTheWorld, only});
      all->push_back({absl::StrCat("/", service, "/Delta", suffix), Form::kDelta, only});
    };
    namespace services = envoy::service;
    add(services::discovery::v3::AggregatedDiscoveryService::service_full_name(), "AggregatedResources", std::nullopt);
    add(services::cluster::v3::ClusterDiscoveryService::service_full_name(), "Clusters", Type::kCluster);
    add(services::endpoint::v3::EndpointDiscoveryService::service_full_name(), "Endpoints", Type::kEndpoint);
    add(services::listener::v3::ListenerDiscoveryService::service_full_name(), "Listeners", Type::kListener);
    add(services::route::v3::RouteDiscoveryService::service_full_name(), "Routes", Type::kRoute);
    add(services::secret::v3::SecretDiscoveryService::service_full_name(), "Secrets", Type::kSecret);
    return all;
  }();
  return *kMethods;
}

class Refusing : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusing(grpc::Status status) { Finish(std::move(status)); }
  void OnDone() override { delete this; }
};

// Members are the hub's thread's, but for what a read in progress fills. Everything is posted in order, so the task of
// OnDone is the last.
class Conversation : public grpc::ServerGenericBidiReactor, public Sink {
 public:
  Conversation(Hub& hub, const GrpcService::Post& post, const Method& method, std::string peer)
      : hub_(hub), post_(post), form_(method.form) {
    post_([this, only = method.only, peer = std::move(peer)] {
      id_ = hub_.open(form_, only, peer, *this);
      StartRead(&incoming_);
    });
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      post_([this] { finish(grpc::Status::OK); });
    } else if (form_ == Form::kDelta) {
      receive<DeltaDiscoveryRequest>();
    } else {
      receive<DiscoveryRequest>();
    }
  }

  void OnWriteDone(bool ok) override {
    post_([this, ok] {
      outgoing_.pop_front();
      if (ok && !finished_ && !outgoing_.empty()) StartWrite(&outgoing_.front());
    });
  }

  void OnDone() override {
    post_([this] {
      hub_.close(id_);
      delete this;
    });
  }

  // At most one response of a type is unanswered, so what waits here is bounded.
  void send(const Response& response) override {
    if (finished_) return;
    outgoing_.push_back(encode(response, form_));
    if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
  }

  void end(const absl::Status& status) override {
    // Both enumerate the same codes.
    finish(grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message())));
  }

 private:
  template <typename Request>
  void receive() {
    auto request = std::make_shared<Request>();
    const grpc::Status parsed = grpc::SerializationTraits<Request>::Deserialize(&incoming_, request.get());
    if (!parsed.ok()) {
      post_([this] { finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "this is no discovery request")); });
      return;
    }
    post_([this, request] {
      hub_.on_request(id_, std::move(*request));
      // Only now the next: what a client asks in a hurry waits in its own connection.
      if (!finished_) StartRead(&incoming_);
    });
  }

  void finish(const grpc::Status& status) {
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  Hub& hub_;
  const GrpcService::Post& post_;
  const Form form_;
  Hub::SessionId id_ = 0;
  grpc::ByteBuffer incoming_;
  // The first one is being written.
  std::deque<grpc::ByteBuffer> outgoing_;
  bool finished_ = false;
};

// A report stream; its members as those of Conversation.
class ReportStream : public grpc::ServerGenericBidiReactor {
 public:
  ReportStream(Hub& hub, const GrpcService::Post& post) : hub_(hub), post_(post) {
    post_([this] {
      id_ = hub_.open_report();
      StartRead(&incoming_);
    });
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      post_([this] { finish(grpc::Status::OK); });
      return;
    }
    auto request = std::make_shared<v1::ReportRequest>();
    const grpc::Status parsed = grpc::SerializationTraits<v1::ReportRequest>::Deserialize(&incoming_, request.get());
    post_([this, parsed, request] {
      if (!parsed.ok()) {
        finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "this is no weft.v1.ReportRequest"));
        return;
      }
      const absl::StatusOr<uint64_t> taken = hub_.on_report(id_, *request);
      if (!taken.ok()) {
        // Both enumerate the same codes.
        finish(
            grpc::Status(static_cast<grpc::StatusCode>(taken.status().code()), std::string(taken.status().message())));
        return;
      }
      v1::ReportResponse response;
      response.set_sequence(*taken);
      bool own_buffer = false;
      static_cast<void>(grpc::SerializationTraits<v1::ReportResponse>::Serialize(response, &outgoing_, &own_buffer));
      if (!finished_) StartWrite(&outgoing_);
    });
  }

  // Only now the next report: who does not read answers is not read either.
  void OnWriteDone(bool ok) override {
    post_([this, ok] {
      if (ok && !finished_) StartRead(&incoming_);
    });
  }

  void OnDone() override {
    post_([this] {
      hub_.close_report(id_);
      delete this;
    });
  }

 private:
  void finish(const grpc::Status& status) {
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  Hub& hub_;
  const GrpcService::Post& post_;
  Hub::ReportId id_ = 0;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  bool finished_ = false;
};

}  // namespace

grpc::ServerGenericBidiReactor* GrpcService::CreateReactor(grpc::GenericCallbackServerContext* context) {
  for (const Method& method : methods()) {
    if (context->method() == method.path) return new Conversation(hub_, post_, method, context->peer());
  }
  if (context->method() == kReportMethod) return new ReportStream(hub_, post_);
  return new Refusing(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, absl::StrCat("no method ", context->method())));
}

}  // namespace weft::control::xds
