#include "proxy/filter/ext_authz/ext_authz.h"

#include <algorithm>
#include <utility>

#include "proxy/base/weighted.h"
#include "proxy/filter/ext_authz/check.h"
#include "proxy/pool/worker_context.h"

namespace weft::filter {
namespace {

using http::Cause;

constexpr std::string_view kPassedOnFailure = "x-envoy-auth-failure-mode-allowed";
constexpr std::string_view kTooLarge = "Payload Too Large";
constexpr std::string_view kDurationKey = "ext_authz_duration";
constexpr int64_t kNanosPerMs = 1'000'000;

class AuthzFilter final : public Filter, private Check::Events {
 public:
  AuthzFilter(FilterStream& stream, const AuthzConfig& config) : stream_(stream), config_(config) {}

  Verdict on_request_head(http::RequestHead& head, bool) override {
    // Only this filter may say it.
    if (config_.tell_passed_on_failure) head.headers.remove(kPassedOnFailure);
    // What no route takes is answered 404 anyway. Which route it is may have changed since the filter was made.
    const route::Route* route = stream_.route();
    if (route == nullptr) return Verdict::kContinue;
    own_ = route::override_of<AuthzOverride>(route, config_.name);
    if (own_ != nullptr && own_->disabled) return Verdict::kContinue;
    if (!is_asked_about()) {
      stats().disabled.add();
      return config_.refuse_others ? refuse_unasked() : Verdict::kContinue;
    }
    body_ = body_wanted(head);
    if (body_ == nullptr) return ask();
    if (!body_->partial && head.has_content_length && head.content_length > body_->max_bytes) return refuse_too_large();
    stream_.want_body(body_->max_bytes);
    waits_for_body_ = true;
    on_held_body();
    return stream_answered_ ? Verdict::kReply : Verdict::kPause;
  }

  void on_held_body() override {
    if (!waits_for_body_) return;
    size_t held = stream_.held_body().size();
    if (!body_->partial && held > body_->max_bytes) {
      waits_for_body_ = false;
      refuse_too_large();
    } else if (stream_.request_ended() || (body_->partial && held >= body_->max_bytes)) {
      waits_for_body_ = false;
      ask();
    }
  }

  void on_response_head(http::ResponseHead& head, bool) override { change_headers(response_changes_, head.headers); }

  void on_done() override { check_.reset(); }

 private:
  AuthzStats& stats() { return config_.stats->of_worker(stream_.worker()); }

  bool is_asked_about() {
    if (config_.denominator != 0 && stream_.random().below(config_.denominator) >= config_.numerator) return false;
    return !config_.only || config_.only->holds(&stream_.metadata());
  }

  // nullptr: none.
  const AuthzBody* body_wanted(const http::RequestHead& head) {
    if (head.is_tunnel() || (stream_.request_ended() && stream_.held_body().empty())) return nullptr;
    if (own_ != nullptr && own_->without_body) return nullptr;
    if (own_ != nullptr && own_->body) return &*own_->body;
    return config_.facts.body ? &*config_.facts.body : nullptr;
  }

  Verdict ask() {
    bool over_http = config_.service.kind == AuthzService::Kind::kHttp;
    Question question = make_question(stream_, config_.facts, over_http, body_);
    if (own_ != nullptr) question.extensions = &own_->extensions;
    asked_ns_ = stream_.context().loop.now_ns();
    check_ = std::make_unique<Check>(stream_.context(), config_.service, question, stream_.record(), stream_.arena(),
                                     static_cast<Check::Events&>(*this));
    return Verdict::kPause;
  }

  void on_answer(Answer answer) override {
    if (answer.kind == Answer::Kind::kInvalid) return reject(answer.reason);
    take_metadata(answer);
    switch (answer.kind) {
      case Answer::Kind::kAllowed:
        return allow(std::move(answer));
      case Answer::Kind::kDenied:
        return deny(answer);
      default:
        return fail(answer);
    }
  }

  void take_metadata(const Answer& answer) {
    if (answer.metadata.empty()) return;
    if (!config_.take_metadata) return stats().ignored_dynamic_metadata.add();
    auto set = [&](std::string_view key, const http::MetadataValue& value) {
      stream_.metadata().set(stream_.arena(), kAuthzMetadata, key, value);
    };
    for (const http::MetadataEntry& each : answer.metadata) set(each.key, each.value);
    if (answer.kind != Answer::Kind::kAllowed) return;
    http::MetadataValue duration;
    duration.kind = http::MetadataValue::Kind::kNumber;
    duration.number = static_cast<double>((stream_.context().loop.now_ns() - asked_ns_) / kNanosPerMs);
    set(kDurationKey, duration);
  }

  void allow(Answer answer) {
    const ChangeRules* rules = config_.rules ? &*config_.rules : nullptr;
    absl::Status valid = check_headers(answer.response_headers);
    if (valid.ok()) valid = change_request(answer, rules, config_.limits, stream_.request_head());
    if (!valid.ok()) return reject(std::string(valid.message()));
    stats().ok.add();
    response_changes_ = std::move(answer.response_headers);
    if (config_.refresh_route && may_change_route(answer)) stream_.refresh_route();
    stream_.resume();
  }

  bool may_change_route(const Answer& answer) const {
    const std::vector<std::string>& names = config_.route_headers;
    if (names.empty() || !answer.query_set.empty() || !answer.query_removed.empty()) return answer.changes_request();
    auto matters = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    return std::any_of(answer.request_headers.begin(), answer.request_headers.end(),
                       [&](const HeaderChange& each) { return matters(each.name); }) ||
           std::any_of(answer.removed_headers.begin(), answer.removed_headers.end(), matters);
  }

  void deny(const Answer& answer) {
    stats().denied.add();
    uint16_t status = answer.status != 0 ? answer.status : 403;
    if (config_.count_at_cluster) count_at_cluster(status);
    if (absl::Status valid = check_headers(answer.response_headers); !valid.ok()) {
      return reject(std::string(valid.message()));
    }
    std::string_view body = answer.body;
    if (config_.max_denied_body_bytes != 0) body = body.substr(0, config_.max_denied_body_bytes);
    answer_with(status, answer.response_headers, body, Cause::kAuthorizationDenied, {});
  }

  void fail(const Answer& answer) {
    stats().error.add();
    if (config_.pass_on_failure) {
      stats().failure_mode_allowed.add();
      if (config_.tell_passed_on_failure) stream_.request_head().headers.set(kPassedOnFailure, "true");
      return stream_.resume();
    }
    if (absl::Status valid = check_headers(answer.response_headers); !valid.ok()) {
      return reject(std::string(valid.message()));
    }
    uint16_t status = answer.status != 0 ? answer.status : config_.status_on_failure;
    answer_with(status, answer.response_headers, answer.body, Cause::kAuthorizationFailed, answer.reason);
  }

  void reject(std::string_view reason) {
    stats().invalid.add();
    answer_with(500, {}, {}, Cause::kAuthorizationInvalid, reason);
  }

  Verdict refuse_unasked() {
    answer_with(config_.status_on_failure, {}, {}, Cause::kAuthorizationFailed, "the filter is not enabled for it");
    return Verdict::kReply;
  }

  Verdict refuse_too_large() {
    answer_with(413, {}, kTooLarge, Cause::kRequestTooLarge, {});
    return Verdict::kReply;
  }

  void answer_with(uint16_t status, const std::vector<HeaderChange>& headers, std::string_view body, Cause cause,
                   std::string_view detail) {
    stream_answered_ = true;
    http::ResponseHead head(stream_.arena());
    head.status = status;
    if (!body.empty()) head.headers.add_static(http::HeaderId::kContentType, "text/plain");
    set_reply_headers(headers, head.headers);
    // A service that knows gRPC says the status itself.
    if (stream_.request_head().is_grpc() && head.headers.has(http::HeaderId::kGrpcStatus)) {
      head.status = 200;
      head.headers.set(http::HeaderId::kContentType, "application/grpc");
      body = {};
    }
    stream_.reply(head, body, cause, detail);
  }

  // At the one that the request would have gone to.
  void count_at_cluster(uint16_t status) {
    const route::Route* route = stream_.route();
    if (route == nullptr || route->forward == nullptr) return;
    const route::ClusterAction& action = *route->forward;
    pool::WorkerUpstreams& upstreams = stream_.context().upstreams;
    pool::WorkerCluster* cluster = nullptr;
    if (!action.cluster_header.empty()) {
      const http::Header* named = stream_.request_head().headers.find(action.cluster_header);
      if (named != nullptr) cluster = upstreams.find(named->value);
    } else if (!action.clusters.empty()) {
      uint64_t draw = action.clusters.size() > 1 ? stream_.random().below(action.total_weight) : 0;
      cluster = upstreams.find(*base::by_weight(action.clusters, draw).slot);
    }
    if (cluster != nullptr) observe::count_answer(cluster->stats(), status);
  }

  FilterStream& stream_;
  const AuthzConfig& config_;
  const AuthzOverride* own_ = nullptr;
  const AuthzBody* body_ = nullptr;
  bool waits_for_body_ = false;
  bool stream_answered_ = false;
  int64_t asked_ns_ = 0;
  std::unique_ptr<Check> check_;
  std::vector<HeaderChange> response_changes_;  // For the upstream's answer.
};

class Factory final : public FilterFactory {
 public:
  explicit Factory(AuthzConfig config) : config_(std::move(config)) {}
  std::string_view name() const override { return config_.name; }

  Filter* make(FilterStream& stream) const override {
    void* place = stream.arena().allocate(sizeof(AuthzFilter), alignof(AuthzFilter));
    return new (place) AuthzFilter(stream, config_);
  }

 private:
  AuthzConfig config_;
};

}  // namespace

FilterFactoryPtr make_authz_filter(AuthzConfig config) { return std::make_shared<Factory>(std::move(config)); }

}  // namespace weft::filter
