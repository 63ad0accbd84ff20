#include "proxy/config/report/conversation.h"

#include <utility>

#include "api/text/cat.h"

namespace weft::config::report {
namespace {

constexpr size_t kMaxReasonBytes = 1024;

google::protobuf::Timestamp timestamp(int64_t wall_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  google::protobuf::Timestamp result;
  result.set_seconds(wall_ns / kSecond);
  result.set_nanos(static_cast<int32_t>(wall_ns % kSecond));
  return result;
}

// Cut between characters, for what is no UTF-8 cannot be sent.
std::string bounded(std::string_view text) {
  if (text.size() <= kMaxReasonBytes) return std::string(text);
  size_t end = kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text::cat(text.substr(0, end), "...");
}

}  // namespace

Conversation::Conversation(const Inventory& inventory, Process process, Limits limits)
    : inventory_(inventory), process_(std::move(process)), limits_(limits) {}

void Conversation::open(const envoy::config::core::v3::Node& node) {
  node_ = node;
  open_ = true;
  complete_ = false;
  sent_ = answered_ = 0;
  process_changed_ = true;
  workload_changed_ = workload_.health() != v1::WorkloadReport::UNKNOWN;
  forget_changes();
  inventory_.visit([this](const ResourceKey& key) { unconfirmed_.insert(key); });
}

void Conversation::close() {
  open_ = false;
  forget_changes();
}

void Conversation::forget_changes() {
  unconfirmed_.clear();
  in_round_.clear();
  changed_.clear();
}

void Conversation::changed(const ResourceKey& key) {
  if (!open_) return;
  unconfirmed_.insert(key);
  changed_.erase(key);
}

void Conversation::set_serving() {
  is_serving_ = true;
  unconfirmed_.merge(in_round_);
  in_round_.clear();
}

bool Conversation::begin_round() {
  if (!is_serving_) {
    for (const ResourceKey& key : std::exchange(unconfirmed_, {})) {
      bool in_force = !inventory_.state(key).version.empty();
      (in_force ? in_round_ : changed_).insert(key);
      if (!in_force) in_round_.erase(key);
    }
    return false;
  }
  if (round_runs_ || unconfirmed_.empty()) return false;
  in_round_ = std::exchange(unconfirmed_, {});
  return round_runs_ = true;
}

void Conversation::end_round() {
  round_runs_ = false;
  for (const ResourceKey& key : std::exchange(in_round_, {})) {
    // What it is now, not all may have.
    if (!unconfirmed_.contains(key)) changed_.insert(key);
  }
}

void Conversation::set_draining() {
  process_changed_ = process_changed_ || !process_.draining;
  process_.draining = true;
}

void Conversation::set_workload(v1::WorkloadReport::Health health, std::string reason) {
  workload_changed_ = true;
  workload_.set_health(health);
  workload_.set_reason(bounded(reason));
}

absl::Status Conversation::receive(std::string_view message) {
  v1::ReportResponse response;
  if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return absl::InvalidArgumentError("what is no weft.v1.ReportResponse");
  }
  if (response.sequence() > sent_) {
    return absl::InvalidArgumentError(
        text::cat("an answer to report ", response.sequence(), ", where the newest is ", sent_));
  }
  answered_ = std::max(answered_, response.sequence());
  drained_ = drained_ || (process_.draining && response.drained());
  return absl::OkStatus();
}

std::vector<std::string> Conversation::take() {
  std::vector<std::string> messages;
  while (open_ && has_news() && sent_ - answered_ < limits_.messages_in_flight) messages.push_back(next_message());
  return messages;
}

std::string Conversation::next_message() {
  v1::ReportRequest request;
  if (sent_ == 0) {
    *request.mutable_node() = node_;
    for (xds::Type type : inventory_.types()) request.add_type_urls(std::string(xds::type_url(type)));
  }
  request.set_sequence(++sent_);
  if (std::exchange(process_changed_, false)) {
    request.mutable_process()->set_version(process_.version);
    *request.mutable_process()->mutable_started() = timestamp(process_.started_wall_ns);
    request.mutable_process()->set_draining(process_.draining);
  }
  if (std::exchange(workload_changed_, false)) *request.mutable_workload() = workload_;
  while (!changed_.empty() && static_cast<size_t>(request.resources_size()) < limits_.resources_per_message) {
    add_resource(*changed_.begin(), &request);
    changed_.erase(changed_.begin());
  }
  if (nothing_left() && !std::exchange(complete_, true)) request.set_complete(true);
  return request.SerializeAsString();
}

void Conversation::add_resource(const ResourceKey& key, v1::ReportRequest* request) const {
  ResourceState state = inventory_.state(key);
  v1::ResourceReport* report = request->add_resources();
  report->set_type_url(std::string(xds::type_url(key.type)));
  report->set_name(key.name);
  report->set_version(std::move(state.version));
  report->set_warming_version(std::move(state.warming_version));
  if (!state.refused) return;
  report->mutable_refused()->set_version(std::move(state.refused->version));
  report->mutable_refused()->set_reason(bounded(state.refused->reason));
  *report->mutable_refused()->mutable_time() = timestamp(state.refused->wall_ns);
}

}  // namespace weft::config::report
