#include "proxy/filter/rbac/rbac.h"

namespace weft::filter {
namespace {

constexpr std::string_view kCommonMetadata = "envoy.common";
constexpr std::string_view kDeniedBody = "RBAC: access denied";

// What the metadata says of an outcome, and under which keys.
struct Keys {
  explicit Keys(const std::string& prefix, std::string_view kind)
      : policy(prefix + std::string(kind) + "_effective_policy_id"),
        result(prefix + std::string(kind) + "_engine_result") {}
  std::string policy;
  std::string result;
};

class Factory final : public FilterFactory {
 public:
  explicit Factory(RbacConfig config)
      : config_(std::move(config)),
        rules_keys_(config_.rules_prefix, "enforced"),
        shadow_keys_(config_.shadow_prefix, "shadow") {}

  std::string_view name() const override { return config_.name; }
  Filter* make(FilterStream& stream) const override;

  Verdict judge(FilterStream& stream, const rbac::Guard& guard, const http::RequestHead& head) const {
    rbac::Facts facts{stream.connection(), &head, stream.record().downstream.remote_ip, &stream.metadata()};
    if (guard.shadow != nullptr) {
      note(stream, shadow_keys_, rbac::judge_shadow(guard, config_.stats, facts, stream.worker()));
    }
    if (guard.rules == nullptr) return Verdict::kContinue;
    rbac::Outcome outcome = rbac::judge(guard, config_.stats, facts, stream.worker());
    note(stream, rules_keys_, outcome);
    if (guard.rules->action() == rbac::Action::kLog) {
      stream.metadata().set(stream.arena(), kCommonMetadata, kAccessLogHint,
                            http::MetadataValue::of_bool(outcome.policy != nullptr));
    }
    if (outcome.allowed) return Verdict::kContinue;
    http::ResponseHead answer(stream.arena());
    answer.status = 403;
    answer.headers.add_static(http::HeaderId::kContentType, "text/plain");
    stream.reply(answer, kDeniedBody, http::Cause::kAccessDenied, outcome.detail);
    return Verdict::kReply;
  }

 private:
  static void note(FilterStream& stream, const Keys& keys, const rbac::Outcome& outcome) {
    auto set = [&](std::string_view key, std::string_view value) {
      stream.metadata().set(stream.arena(), kRbacMetadata, key, http::MetadataValue::of(value));
    };
    if (outcome.policy != nullptr) set(keys.policy, *outcome.policy);
    set(keys.result, outcome.allowed ? "allowed" : "denied");
  }

  RbacConfig config_;
  Keys rules_keys_;
  Keys shadow_keys_;
};

class RbacFilter final : public Filter {
 public:
  RbacFilter(FilterStream& stream, const Factory& factory, const rbac::Guard& guard)
      : stream_(stream), factory_(factory), guard_(guard) {}
  Verdict on_request_head(http::RequestHead& head, bool) override { return factory_.judge(stream_, guard_, head); }

 private:
  FilterStream& stream_;
  const Factory& factory_;
  const rbac::Guard& guard_;
};

Filter* Factory::make(FilterStream& stream) const {
  const auto* override = route::override_of<RbacOverride>(stream.route(), config_.name);
  const rbac::Guard& guard = override == nullptr ? config_.guard : override->guard;
  if (guard.rules == nullptr && guard.shadow == nullptr) return nullptr;
  void* place = stream.arena().allocate(sizeof(RbacFilter), alignof(RbacFilter));
  return new (place) RbacFilter(stream, *this, guard);
}

}  // namespace

FilterFactoryPtr make_rbac_filter(RbacConfig config) { return std::make_shared<Factory>(std::move(config)); }

}  // namespace weft::filter
