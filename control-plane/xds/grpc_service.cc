#include "control-plane/xds/grpc_service.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/node.h"
#include "control-plane/telemetry/traffic.h"
#include "control-plane/xds/caller.h"
#include "control-plane/xds/completion.h"
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

}  // namespace

// One call, from before it comes until gRPC has done with it; then it deletes itself. What it is about is its talk.
class GrpcService::Call {
 public:
  class Talk {
   public:
    virtual ~Talk() = default;
    // The next message comes after Call::read().
    virtual void on_message(grpc::ByteBuffer& bytes) = 0;
    // All that was written is with the transport.
    virtual void on_written() {}
  };

  // The next call that comes.
  static void await(GrpcService& service) {
    auto* call = new Call(service);
    service.generic_.RequestCall(&call->context_, &call->stream_, service.queue_, service.queue_,
                                 call->begin(call->come_));
  }

  void read() {
    if (!status_.has_value()) stream_.Read(&incoming_, begin(read_));
  }

  void write(grpc::ByteBuffer bytes) {
    if (status_.has_value()) return;
    outgoing_.push_back(std::move(bytes));
    if (outgoing_.size() == 1) stream_.Write(outgoing_.front(), begin(written_));
  }

  // After what is being written; what waits behind it goes nowhere.
  void finish(grpc::Status status) {
    if (status_.has_value()) return;
    status_ = std::move(status);
    if (outgoing_.empty()) stream_.Finish(*status_, begin(finished_));
  }

 private:
  explicit Call(GrpcService& service) : service_(service) { ++service_.calls_; }
  ~Call() { --service_.calls_; }

  void* begin(Completion& step) {
    ++begun_;
    return &step;
  }
  void end() {
    if (--begun_ == 0) delete this;
  }

  void on_come(bool ok) {
    if (ok) {
      await(service_);
      talk_ = answer();
      if (talk_ != nullptr) read();
    }
    end();
  }

  void on_read(bool ok) {
    if (!ok) {
      finish(grpc::Status::OK);
    } else if (!status_.has_value()) {
      talk_->on_message(incoming_);
    }
    end();
  }

  void on_written(bool ok) {
    outgoing_.pop_front();
    if (status_.has_value()) {
      stream_.Finish(*status_, begin(finished_));
    } else if (!ok) {
      // Nobody is there any more, which the read tells as well.
      outgoing_.clear();
    } else if (!outgoing_.empty()) {
      stream_.Write(outgoing_.front(), begin(written_));
    } else {
      talk_->on_written();
    }
    end();
  }

  void on_finished(bool) { end(); }

  std::unique_ptr<Talk> answer();

  GrpcService& service_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  Step<Call> come_{*this, &Call::on_come};
  Step<Call> read_{*this, &Call::on_read};
  Step<Call> written_{*this, &Call::on_written};
  Step<Call> finished_{*this, &Call::on_finished};
  // Operations that are not over.
  int begun_ = 0;
  grpc::ByteBuffer incoming_;
  // The first one is being written.
  std::list<grpc::ByteBuffer> outgoing_;
  // With which it ends.
  std::optional<grpc::Status> status_;
  std::unique_ptr<Talk> talk_;
};

// A stream that came in, by a credential where there is a gate; it can be ended by that one's origin.
class GrpcService::Admitted {
 public:
  Admitted(GrpcService& service, Credential credential) : service_(service), credential_(std::move(credential)) {
    service_.of_origin_[credential_.origin].insert(this);
    if (credential_.ends_ms != 0) service_.ends_.emplace(credential_.ends_ms, this);
  }
  virtual void end(const absl::Status& status) = 0;

 protected:
  ~Admitted() {
    service_.ends_.erase({credential_.ends_ms, this});
    const auto siblings = service_.of_origin_.find(credential_.origin);
    siblings->second.erase(this);
    if (siblings->second.empty()) service_.of_origin_.erase(siblings);
  }
  // The node of the first message decides.
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

class GrpcService::Conversation : public Call::Talk, public Sink, public Admitted {
 public:
  Conversation(GrpcService& service, Call& call, const Method& method, const std::string& peer, Credential credential)
      : Admitted(service, std::move(credential)),
        hub_(service.hub_),
        call_(call),
        form_(method.form),
        id_(hub_.open(method.form, method.only, peer, *this)) {}
  ~Conversation() override { hub_.close(id_); }

  void on_message(grpc::ByteBuffer& bytes) override {
    if (form_ == Form::kDelta) {
      receive<DeltaDiscoveryRequest>(bytes);
    } else {
      receive<DiscoveryRequest>(bytes);
    }
  }

  // At most one response of a type is unanswered, so what waits to be written is bounded.
  void send(const Response& response) override { call_.write(encode(response, form_)); }
  void end(const absl::Status& status) override { call_.finish(to_grpc(status)); }

 private:
  template <typename Request>
  void receive(grpc::ByteBuffer& bytes) {
    Request request;
    if (!grpc::SerializationTraits<Request>::Deserialize(&bytes, &request).ok()) {
      return end(absl::InvalidArgumentError("this is no discovery request"));
    }
    if (const absl::Status admitted = admit(request.node()); !admitted.ok()) return end(admitted);
    hub_.on_request(id_, std::move(request));
    call_.read();
  }

  Hub& hub_;
  Call& call_;
  const Form form_;
  const Hub::SessionId id_;
};

class GrpcService::ReportStream : public Call::Talk, public ReportSink, public Admitted {
 public:
  ReportStream(GrpcService& service, Call& call, Credential credential)
      : Admitted(service, std::move(credential)), hub_(service.hub_), call_(call), id_(hub_.open_report(this)) {}
  ~ReportStream() override { hub_.close_report(id_); }

  void on_message(grpc::ByteBuffer& bytes) override {
    is_reading_ = false;
    v1::ReportRequest request;
    if (!grpc::SerializationTraits<v1::ReportRequest>::Deserialize(&bytes, &request).ok()) {
      return end(absl::InvalidArgumentError("this is no weft.v1.ReportRequest"));
    }
    if (const absl::Status admitted = admit(request.node()); !admitted.ok()) return end(admitted);
    const absl::StatusOr<uint64_t> taken = hub_.on_report(id_, request);
    if (!taken.ok()) return end(taken.status());
    sequence_ = *taken;
    write(false);
  }

  // Only now the next report: who does not read answers is not read either.
  void on_written() override {
    if (!std::exchange(is_reading_, true)) call_.read();
  }
  void drained() override { write(true); }
  void end(const absl::Status& status) override { call_.finish(to_grpc(status)); }

 private:
  void write(bool drained) {
    v1::ReportResponse response;
    response.set_sequence(sequence_);
    response.set_drained(drained);
    grpc::ByteBuffer answer;
    bool own_buffer = false;
    static_cast<void>(grpc::SerializationTraits<v1::ReportResponse>::Serialize(response, &answer, &own_buffer));
    call_.write(std::move(answer));
  }

  Hub& hub_;
  Call& call_;
  const Hub::ReportId id_;
  // Of the newest report that was taken.
  uint64_t sequence_ = 0;
  // As from the beginning, until a message comes.
  bool is_reading_ = true;
};

// A stream of metrics (envoy.service.metrics.v3), to which nothing is answered.
class GrpcService::MetricsStream : public Call::Talk, public Admitted {
 public:
  MetricsStream(GrpcService& service, Call& call, Credential credential)
      : Admitted(service, std::move(credential)), traffic_(*service.traffic_), call_(call) {}
  ~MetricsStream() override {
    if (id_.has_value()) traffic_.close(*id_);
  }

  void on_message(grpc::ByteBuffer& bytes) override {
    Message message;
    if (!grpc::SerializationTraits<Message>::Deserialize(&bytes, &message).ok()) {
      return end(absl::InvalidArgumentError("this is no StreamMetricsMessage"));
    }
    if (const absl::Status taken = take(message); !taken.ok()) return end(taken);
    call_.read();
  }

  void end(const absl::Status& status) override { call_.finish(to_grpc(status)); }

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

  telemetry::Traffic& traffic_;
  Call& call_;
  std::optional<uint64_t> id_;
};

// Null for a call that is refused.
std::unique_ptr<GrpcService::Call::Talk> GrpcService::Call::answer() {
  absl::StatusOr<Credential> credential = Credential();
  if (service_.gate_ != nullptr) {
    const Caller caller(context_);
    credential = service_.gate_->authenticate(caller.shown());
  }
  if (!credential.ok()) {
    finish(to_grpc(credential.status()));
    return nullptr;
  }
  for (const Method& method : methods()) {
    if (context_.method() != method.path) continue;
    return std::make_unique<Conversation>(service_, *this, method, context_.peer(), *std::move(credential));
  }
  if (context_.method() == kMetricsMethod && service_.traffic_ != nullptr) {
    return std::make_unique<MetricsStream>(service_, *this, *std::move(credential));
  }
  if (context_.method() == kReportMethod) {
    return std::make_unique<ReportStream>(service_, *this, *std::move(credential));
  }
  finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, absl::StrCat("no method ", context_.method())));
  return nullptr;
}

void GrpcService::start(grpc::ServerCompletionQueue& queue) {
  queue_ = &queue;
  Call::await(*this);
}

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

}  // namespace weft::control::xds
