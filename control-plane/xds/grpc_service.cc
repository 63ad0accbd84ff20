#include "control-plane/xds/grpc_service.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/node.h"
#include "control-plane/telemetry/traffic.h"
#include "control-plane/xds/caller.h"
#include "control-plane/xds/encode.h"
#include "control-plane/xds/grpc_status.h"
#include "envoy/service/cluster/v3/cds.grpc.pb.h"
#include "envoy/service/discovery/v3/ads.grpc.pb.h"
#include "envoy/service/endpoint/v3/eds.grpc.pb.h"
#include "envoy/service/listener/v3/lds.grpc.pb.h"
#include "envoy/service/metrics/v3/metrics_service.pb.h"
#include "envoy/service/route/v3/rds.grpc.pb.h"
#include "envoy/service/secret/v3/sds.grpc.pb.h"
#include "weft/v1/report.pb.h"

namespace weft::control::xds {

namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;

constexpr char kMetricsMethod[] = "/envoy.service.metrics.v3.MetricsService/StreamMetrics";
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

// Requests that wait for the hub; further ones wait in the client's own connection.
constexpr int kMaxQueuedRequests = 4;

}  // namespace

// A stream that came in, by a credential where there is a gate.
class GrpcService::Admitted {
 public:
  Admitted(GrpcService& service, Credential credential) : service_(service), credential_(std::move(credential)) {}
  virtual void end(const absl::Status& status) = 0;

 protected:
  ~Admitted() = default;
  // Both on the hub's thread; between them the stream can be ended by its credential's origin.
  void begin() {
    service_.of_origin_[credential_.origin].insert(this);
    if (credential_.ends_ms != 0) service_.ends_.emplace(credential_.ends_ms, this);
  }
  void forget() {
    service_.ends_.erase({credential_.ends_ms, this});
    const auto siblings = service_.of_origin_.find(credential_.origin);
    siblings->second.erase(this);
    if (siblings->second.empty()) service_.of_origin_.erase(siblings);
  }
  // The node of the first message decides. Only within a read, of which there is one at a time.
  absl::Status admit(const envoy::config::core::v3::Node& node) {
    if (service_.gate_ == nullptr || is_admitted_) return absl::OkStatus();
    absl::Status admitted = service_.gate_->admit(credential_, node);
    is_admitted_ = admitted.ok();
    return admitted;
  }

 private:
  GrpcService& service_;
  const Credential credential_;
  bool is_admitted_ = false;
};

// What the hub does is posted in order, so the task of OnDone is the last. Reads and writes follow one another on
// gRPC's threads, without a turn of the hub's thread between: with thousands of streams, those turns are what a small
// change costs.
class GrpcService::Conversation : public grpc::ServerGenericBidiReactor, public Sink, public Admitted {
 public:
  Conversation(GrpcService& service, const Method& method, std::string peer, Credential credential)
      : Admitted(service, std::move(credential)), hub_(service.hub_), post_(service.post_), form_(method.form) {
    post_([this, only = method.only, peer = std::move(peer)] {
      id_ = hub_.open(form_, only, peer, *this);
      begin();
      read();
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
    const std::lock_guard lock(mutex_);
    outgoing_.pop_front();
    if (ok && !finished_ && !outgoing_.empty()) StartWrite(&outgoing_.front());
  }

  void OnDone() override {
    post_([this] {
      hub_.close(id_);
      forget();
      delete this;
    });
  }

  // At most one response of a type is unanswered, so what waits here is bounded.
  void send(const Response& response) override {
    grpc::ByteBuffer bytes = encode(response, form_);
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    outgoing_.push_back(std::move(bytes));
    if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
  }

  void end(const absl::Status& status) override { finish(to_grpc(status)); }

 private:
  template <typename Request>
  void receive() {
    auto request = std::make_shared<Request>();
    const grpc::Status parsed = grpc::SerializationTraits<Request>::Deserialize(&incoming_, request.get());
    if (!parsed.ok()) {
      post_([this] { finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "this is no discovery request")); });
      return;
    }
    if (const absl::Status admitted = admit(request->node()); !admitted.ok()) {
      post_([this, admitted] { end(admitted); });
      return;
    }
    const bool may_go_on = queued_.fetch_add(1) + 1 < kMaxQueuedRequests;
    post_([this, request] {
      hub_.on_request(id_, std::move(*request));
      if (queued_.fetch_sub(1) == kMaxQueuedRequests) read();
    });
    if (may_go_on) read();
  }

  void read() {
    const std::lock_guard lock(mutex_);
    if (!finished_) StartRead(&incoming_);
  }

  void finish(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  Hub& hub_;
  const Post& post_;
  const Form form_;
  Hub::SessionId id_ = 0;
  // Filled by the read in progress, of which there is at most one.
  grpc::ByteBuffer incoming_;
  // Read, and not yet the hub's.
  std::atomic<int> queued_ = 0;
  // What follows is for any thread; gRPC calls none of ours from within the calls that it guards.
  std::mutex mutex_;
  // The first one is being written.
  std::list<grpc::ByteBuffer> outgoing_;
  bool finished_ = false;
};

// A report stream. Members are the hub's thread's, but for what a read in progress fills.
class GrpcService::ReportStream : public grpc::ServerGenericBidiReactor, public Admitted {
 public:
  ReportStream(GrpcService& service, Credential credential)
      : Admitted(service, std::move(credential)), hub_(service.hub_), post_(service.post_) {
    post_([this] {
      id_ = hub_.open_report();
      begin();
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
    if (!parsed.ok()) {
      post_([this] { finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "this is no weft.v1.ReportRequest")); });
      return;
    }
    if (const absl::Status admitted = admit(request->node()); !admitted.ok()) {
      post_([this, admitted] { end(admitted); });
      return;
    }
    post_([this, request] {
      const absl::StatusOr<uint64_t> taken = hub_.on_report(id_, *request);
      if (!taken.ok()) return end(taken.status());
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
      forget();
      delete this;
    });
  }

  void end(const absl::Status& status) override { finish(to_grpc(status)); }

 private:
  void finish(const grpc::Status& status) {
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  Hub& hub_;
  const Post& post_;
  Hub::ReportId id_ = 0;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  bool finished_ = false;
};

// A stream of metrics (envoy.service.metrics.v3), to which nothing is answered. Messages go to the traffic on gRPC's
// own threads: the hub has nothing to do with them.
class GrpcService::MetricsStream : public grpc::ServerGenericBidiReactor, public Admitted {
 public:
  MetricsStream(GrpcService& service, Credential credential)
      : Admitted(service, std::move(credential)), traffic_(*service.traffic_), post_(service.post_) {
    post_([this] {
      begin();
      read();
    });
  }

  void OnReadDone(bool ok) override {
    if (!ok) return finish(grpc::Status::OK);
    Message message;
    const grpc::Status parsed = grpc::SerializationTraits<Message>::Deserialize(&incoming_, &message);
    if (!parsed.ok())
      return finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "this is no StreamMetricsMessage"));
    if (const absl::Status taken = take(message); !taken.ok()) return finish(to_grpc(taken));
    read();
  }

  void OnDone() override {
    if (id_.has_value()) traffic_.close(*id_);
    post_([this] {
      forget();
      delete this;
    });
  }

  void end(const absl::Status& status) override { finish(to_grpc(status)); }

 private:
  using Message = envoy::service::metrics::v3::StreamMetricsMessage;

  // The first message says whose they are, and that fits what let the stream in.
  absl::Status take(const Message& message) {
    if (!id_.has_value()) {
      const envoy::config::core::v3::Node& node = message.identifier().node();
      if (absl::Status admitted = admit(node); !admitted.ok()) return admitted;
      const absl::StatusOr<compile::NodeClaims> claims = compile::read_node(node);
      if (!claims.ok()) return claims.status();
      const absl::StatusOr<uint64_t> id = traffic_.open({claims->audience.namespace_name, claims->service, claims->id});
      if (!id.ok()) return id.status();
      id_ = *id;
    }
    traffic_.take(*id_, message);
    return absl::OkStatus();
  }

  void read() {
    const std::lock_guard lock(mutex_);
    if (!finished_) StartRead(&incoming_);
  }

  void finish(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  telemetry::Traffic& traffic_;
  const Post& post_;
  // Of the read in progress, of which there is at most one.
  grpc::ByteBuffer incoming_;
  std::optional<uint64_t> id_;
  // For any thread.
  std::mutex mutex_;
  bool finished_ = false;
};

std::optional<int64_t> GrpcService::end_streams_by(int64_t now_ms) {
  while (!ends_.empty() && ends_.begin()->first <= now_ms) {
    Admitted* stream = ends_.begin()->second;
    ends_.erase(ends_.begin());
    // Nothing is wrong with who it is: UNAUTHENTICATED would make him doubt the certificate that he has by now.
    stream->end(absl::UnavailableError(
        "the certificate by which the stream came in has ended; come again by a connection with the one after it"));
  }
  if (ends_.empty()) return std::nullopt;
  return ends_.begin()->first;
}

void GrpcService::end_streams_of(const std::string& origin, const absl::Status& status) {
  post_([this, origin, status] {
    const auto open = of_origin_.find(origin);
    if (open == of_origin_.end()) return;
    for (Admitted* stream : open->second) stream->end(status);
  });
}

grpc::ServerGenericBidiReactor* GrpcService::CreateReactor(grpc::GenericCallbackServerContext* context) {
  absl::StatusOr<Credential> credential = Credential();
  if (gate_ != nullptr) {
    const Caller caller(*context);
    credential = gate_->authenticate(caller.shown());
  }
  if (!credential.ok()) return new Refusing(to_grpc(credential.status()));
  for (const Method& method : methods()) {
    if (context->method() == method.path) {
      return new Conversation(*this, method, context->peer(), *std::move(credential));
    }
  }
  if (context->method() == kMetricsMethod && traffic_ != nullptr) {
    return new MetricsStream(*this, *std::move(credential));
  }
  if (context->method() == kReportMethod) return new ReportStream(*this, *std::move(credential));
  return new Refusing(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, absl::StrCat("no method ", context->method())));
}

}  // namespace weft::control::xds
