#include "proxy/filter/cors/cors.h"

#include "proxy/route/cors_policy.h"

namespace weft::filter {
namespace {

using http::HeaderId;

constexpr std::string_view kRequestPrivateNetwork = "access-control-request-private-network";
constexpr std::string_view kAllowPrivateNetwork = "access-control-allow-private-network";

const route::CorsPolicy* policy_of(const route::Route* route) {
  if (route == nullptr) return nullptr;
  if (route->cors != nullptr) return route->cors.get();
  return route->virtual_host == nullptr ? nullptr : route->virtual_host->cors.get();
}

bool allows(const route::CorsPolicy& policy, std::string_view origin) {
  for (const route::StringMatcher& matcher : policy.allow_origins) {
    if (matcher.kind == route::StringMatcher::Kind::kExact && matcher.value == "*") return true;
    if (matcher.matches(origin)) return true;
  }
  return false;
}

class CorsFilter final : public Filter {
 public:
  // Without `enabled` it only counts.
  CorsFilter(FilterStream& stream, const route::CorsPolicy& policy, bool enabled)
      : stream_(stream), policy_(policy), enabled_(enabled) {}

  Verdict on_request_head(http::RequestHead& head, bool) override {
    origin_ = head.headers.value(HeaderId::kOrigin);
    if (origin_.empty()) return Verdict::kContinue;
    bool valid = allows(policy_, origin_);
    (valid ? stream_.stats().cors_origin_valid : stream_.stats().cors_origin_invalid).add();
    if (!enabled_) return Verdict::kContinue;
    allowed_ = valid;
    bool preflight =
        head.method_id == http::Method::kOptions && !head.headers.value(HeaderId::kAccessControlRequestMethod).empty();
    if (!preflight) return Verdict::kContinue;
    if (!allowed_ && policy_.forward_not_matching_preflights) return Verdict::kContinue;
    answer_preflight(head);
    return Verdict::kReply;
  }

  void on_response_head(http::ResponseHead& head, bool) override {
    if (!allowed_ || answered_) return;
    head.headers.set(HeaderId::kAccessControlAllowOrigin, origin_);
    if (policy_.allow_credentials) head.headers.set(HeaderId::kAccessControlAllowCredentials, "true");
    if (!policy_.expose_headers.empty()) {
      head.headers.set(HeaderId::kAccessControlExposeHeaders, policy_.expose_headers);
    }
  }

 private:
  void answer_preflight(const http::RequestHead& request) {
    answered_ = true;
    http::ResponseHead answer(stream_.arena());
    answer.status = 200;
    auto add = [&](HeaderId id, std::string_view value) {
      if (!value.empty()) answer.headers.add(id, value);
    };
    if (allowed_) {
      add(HeaderId::kAccessControlAllowOrigin, origin_);
      if (policy_.allow_credentials) add(HeaderId::kAccessControlAllowCredentials, "true");
      if (policy_.allow_private_network) {
        const http::Header* asked = request.headers.find(kRequestPrivateNetwork);
        if (asked != nullptr && asked->value == "true") answer.headers.add(kAllowPrivateNetwork, "true");
      }
      add(HeaderId::kAccessControlAllowMethods, policy_.allow_methods);
      add(HeaderId::kAccessControlAllowHeaders, policy_.allow_headers);
      add(HeaderId::kAccessControlMaxAge, policy_.max_age);
    }
    stream_.reply(answer, "", http::Cause::kFilterReply, "CORS preflight");
  }

  FilterStream& stream_;
  const route::CorsPolicy& policy_;
  const bool enabled_;
  std::string_view origin_;
  bool allowed_ = false;
  bool answered_ = false;
};

class CorsFactory final : public FilterFactory {
 public:
  std::string_view name() const override { return "envoy.filters.http.cors"; }
  Filter* make(FilterStream& stream) const override {
    const route::CorsPolicy* policy = policy_of(stream.route());
    if (policy == nullptr) return nullptr;
    auto drawn = [&](uint32_t numerator, uint32_t denominator) {
      return stream.random().below(denominator) < numerator;
    };
    bool enabled = policy->enabled_denominator == 0 || drawn(policy->enabled_numerator, policy->enabled_denominator);
    bool shadow = policy->shadow_denominator != 0 && drawn(policy->shadow_numerator, policy->shadow_denominator);
    if (!enabled && !shadow) return nullptr;
    void* place = stream.arena().allocate(sizeof(CorsFilter), alignof(CorsFilter));
    return new (place) CorsFilter(stream, *policy, enabled);
  }
};

}  // namespace

FilterFactoryPtr make_cors_filter() { return std::make_shared<CorsFactory>(); }

}  // namespace weft::filter
