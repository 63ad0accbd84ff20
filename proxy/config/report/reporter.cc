#include "proxy/config/report/reporter.h"

#include "api/text/cat.h"
#include "proxy/base/log.h"

namespace weft::config::report {
namespace {

constexpr char kPath[] = "/weft.v1.ProxyReports/Report";
// How weft-control calls itself (ControlPlane.identifier).
constexpr std::string_view kServerName = "weft-control";
constexpr int64_t kBackoffBaseMs = 500;
constexpr int64_t kBackoffMaxMs = 30'000;
// gRPC's status code.
constexpr int kUnimplemented = 12;

}  // namespace

Reporter::Reporter(pool::WorkerContext& context, const Inventory& inventory, Conversation::Process process,
                   std::vector<event::Loop*> workers)
    : context_(context),
      conversation_(inventory, std::move(process)),
      rounds_(context.loop, std::move(workers)),
      backoff_(kBackoffBaseMs, kBackoffMaxMs),
      retry_timer_(context.loop.timers(), base::bind<&Reporter::connect>(this)) {}

Reporter::~Reporter() { disconnect(); }

void Reporter::on_connected(const xds::ControlPlane& control_plane, const envoy::config::core::v3::Node& node,
                            std::string_view server_name) {
  disconnect();
  if (server_name != kServerName) return;
  control_plane_ = control_plane;
  node_ = node;
  backoff_.reset();
  connect();
}

void Reporter::on_disconnected() { disconnect(); }

void Reporter::connect() {
  stream_ = call::GrpcStream::start(context_, control_plane_->cluster, xds::call_to(*control_plane_, kPath), *this);
}

void Reporter::disconnect() {
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->cancel();
  open_ = false;
  conversation_.close();
  retry_timer_.disarm();
  control_plane_.reset();
}

void Reporter::on_resource_changed(const ResourceKey& key) {
  conversation_.changed(key);
  if (open_) send_soon();
}

void Reporter::set_serving() {
  conversation_.set_serving();
  if (open_) send_soon();
}

void Reporter::set_draining(base::Callback<void()> on_drained) {
  conversation_.set_draining();
  on_drained_ = on_drained;
  if (open_) send_soon();
}

void Reporter::set_workload(v1::WorkloadReport::Health health, std::string reason) {
  conversation_.set_workload(health, std::move(reason));
  if (open_) send_soon();
}

void Reporter::on_grpc_open() {
  open_ = true;
  conversation_.open(node_);
  send_soon();
}

void Reporter::on_turn_end() {
  if (!open_) return;
  if (conversation_.begin_round()) rounds_.start([this] { on_round_ended(); });
  for (const std::string& message : conversation_.take()) stream_->send(message);
}

void Reporter::on_round_ended() {
  conversation_.end_round();
  if (open_) send_soon();
}

void Reporter::on_grpc_message(std::string_view message) {
  if (absl::Status status = conversation_.receive(message); !status.ok()) {
    std::exchange(stream_, nullptr)->cancel();
    return ended(0, text::cat("it sent ", status.message()));
  }
  backoff_.reset();
  send_soon();
  if (conversation_.drained() && on_drained_) std::exchange(on_drained_, {})();
}

void Reporter::on_grpc_end(const call::GrpcEnd& end) {
  stream_ = nullptr;
  ended(end.status, end.reason);
}

void Reporter::ended(int status, std::string_view reason) {
  open_ = false;
  conversation_.close();
  std::string who = text::cat("report: control plane \"", control_plane_->cluster->name(), "\"");
  if (status == kUnimplemented) {
    base::log_info(text::cat(who, " takes no reports of what runs: ", reason));
    return;
  }
  int64_t delay_ms = backoff_.next_ms(context_.random);
  base::log_info(text::cat(who, " ended the report of what runs: ", reason, "; again in ", delay_ms, " ms"));
  retry_timer_.arm(delay_ms);
}

}  // namespace weft::config::report
