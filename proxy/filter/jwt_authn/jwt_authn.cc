#include "proxy/filter/jwt_authn/jwt_authn.h"

#include <algorithm>
#include <utility>

#include "api/text/base64url.h"
#include "proxy/filter/jwt_authn/evaluate.h"
#include "proxy/filter/jwt_authn/json.h"
#include "proxy/filter/jwt_authn/override.h"
#include "proxy/pool/worker_context.h"

namespace weft::filter {
namespace {

using http::HeaderId;

// As Envoy: so much of the request's path is told in www-authenticate.
constexpr size_t kMaxRealmPathBytes = 256;

// What a header's value may have (RFC 9110, 5.5); a claim with anything else goes into none.
bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

std::string claim_text(const nlohmann::json& claim) {
  if (claim.is_string()) return claim.get<std::string>();
  if (claim.is_structured())
    return text::encode_base64url(claim.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  return claim.dump();
}

bool is_preflight(const http::RequestHead& head) {
  return head.method_id == http::Method::kOptions && head.headers.has(HeaderId::kOrigin) &&
         !head.headers.value(HeaderId::kAccessControlRequestMethod).empty();
}

class JwtFilter final : public Filter, private KeyWaiter {
 public:
  JwtFilter(FilterStream& stream, const JwtConfig& config, const JwtRequirement* requirement,
            std::string_view wrong_name)
      : stream_(stream), config_(config), requirement_(requirement), wrong_name_(wrong_name) {}

  Verdict on_request_head(http::RequestHead& head, bool) override {
    remove_claimed_headers(head);
    if (!wrong_name_.empty()) return refuse_wrong_name();
    if (requirement_ == nullptr) return Verdict::kContinue;
    return ask();
  }

  void on_done() override {
    if (!linked()) return;
    unlink();
    waited_for_->left(stream_.worker());
  }

 private:
  JwtStats& stats() { return config_.stats->of_worker(stream_.worker()); }

  Verdict ask() {
    auto& loop = stream_.context().loop;
    Evaluation evaluation{config_.providers, stream_.request_head(),         stream_.worker(),
                          loop.now_ms(),     loop.wall_ns() / 1'000'000'000, failed_};
    Verdicts verdicts = evaluate(*requirement_, evaluation);
    if (verdicts.pending != nullptr) {
      waited_for_ = verdicts.pending;
      waited_for_->wait(stream_.context(), *this);
      return Verdict::kPause;
    }
    if (verdicts.error != TokenError::kNone) return refuse(verdicts.error);
    stats().allowed.add();
    bool look_again = false;
    int verifier = 0;
    for (const GoodToken& good : verdicts.good) {
      // As Envoy: tokens that one requirement has found all speak, and a later one's in place of an earlier one's.
      if (std::exchange(verifier, good.verifier) != good.verifier) {
        remove_claimed_headers(*good.provider, stream_.request_head());
      }
      look_again = pass_on(good) || look_again;
    }
    for (const GoodToken& good : verdicts.good) {
      if (!good.provider->forward) remove_token(good.found, stream_.request_head());
    }
    if (look_again) stream_.refresh_route();
    return Verdict::kContinue;
  }

  void on_keys(bool fetched) override {
    if (!fetched) failed_.push_back(waited_for_);
    if (ask() == Verdict::kContinue) stream_.resume();
  }

  // What only this filter may say. Where no requirement holds it does not either.
  void remove_claimed_headers(http::RequestHead& head) {
    for (const JwtProviderPtr& provider : config_.providers) remove_claimed_headers(*provider, head);
  }

  static void remove_claimed_headers(const JwtProvider& provider, http::RequestHead& head) {
    if (!provider.payload_header.empty()) head.headers.remove(provider.payload_header);
    for (const auto& claim : provider.claim_headers) head.headers.remove(claim.header);
  }

  // True: the route may be another one now.
  bool pass_on(const GoodToken& good) {
    const JwtProvider& provider = *good.provider;
    http::RequestHead& head = stream_.request_head();
    base::Arena& arena = stream_.arena();
    if (!provider.payload_header.empty()) {
      std::string payload(good.token.payload_part);
      while (provider.pad_payload_header && payload.size() % 4 != 0) payload += '=';
      head.headers.add(provider.payload_header, payload);
    }
    auto note = [&](const std::string& key, const std::string& json, const std::vector<std::string>& split) {
      const http::MetadataValue* value = key.empty() ? nullptr : to_metadata(json, split, arena);
      if (value != nullptr) stream_.metadata().set(arena, kJwtMetadata, key, *value);
    };
    note(provider.payload_key, good.token.payload_json, provider.split_claims);
    note(provider.header_key, good.token.header_json, {});
    if (!provider.claim_headers.empty()) set_claim_headers(provider, good.token, head);
    bool said_something = !provider.payload_key.empty() || !provider.claim_headers.empty();
    return provider.clear_route_cache && said_something;
  }

  static void set_claim_headers(const JwtProvider& provider, const Token& token, http::RequestHead& head) {
    nlohmann::json payload = parse_json(token.payload_json, kMaxTokenDepth);
    for (const auto& each : provider.claim_headers) {
      const nlohmann::json* claim = &payload;
      for (const std::string& name : each.path) {
        auto found = claim->is_object() ? claim->find(name) : claim->end();
        claim = claim->is_object() && found != claim->end() ? &*found : nullptr;
        if (claim == nullptr) break;
      }
      if (claim == nullptr || claim->is_null()) continue;
      std::string text = claim_text(*claim);
      if (is_field_value(text)) head.headers.add(each.header, text);
    }
  }

  Verdict refuse(TokenError error) {
    stats().denied.add();
    http::ResponseHead answer(stream_.arena());
    answer.status = error == TokenError::kAudience ? 403 : 401;
    std::string_view text = token_error_text(error);
    if (!config_.strip_failure_response) {
      answer.headers.add_static(HeaderId::kContentType, "text/plain");
      std::string challenge = "Bearer realm=\"" + realm() + '"';
      if (error != TokenError::kMissing) challenge += ", error=\"invalid_token\"";
      answer.headers.add(HeaderId::kWwwAuthenticate, challenge);
    }
    return reply(answer, text, text);
  }

  Verdict reply(const http::ResponseHead& answer, std::string_view text, std::string_view reason) {
    std::string detail = "jwt_authn_access_denied{" + std::string(reason) + '}';
    std::replace(detail.begin(), detail.end(), ' ', '_');
    stream_.reply(answer, config_.strip_failure_response ? std::string_view() : text, http::Cause::kTokenRefused,
                  detail);
    return Verdict::kReply;
  }

  // The address that was asked for, in what a quoted string may have.
  std::string realm() {
    const http::RequestHead& head = stream_.request_head();
    std::string uri = stream_.connection().tls == nullptr ? "http://" : "https://";
    uri.append(head.authority).append(head.path.substr(0, kMaxRealmPathBytes));
    for (char& c : uri) {
      if (c == '"' || c == '\\') c = '_';
    }
    return uri;
  }

  Verdict refuse_wrong_name() {
    stats().denied.add();
    http::ResponseHead answer(stream_.arena());
    answer.status = 403;
    if (!config_.strip_failure_response) answer.headers.add_static(HeaderId::kContentType, "text/plain");
    std::string reason = "Wrong requirement_name: " + std::string(wrong_name_) + ". It should be one of [";
    for (const auto& [name, requirement] : config_.named) reason += (reason.back() == '[' ? "" : ",") + name;
    reason += ']';
    return reply(answer, "Failed JWT authentication: " + reason, reason);
  }

  FilterStream& stream_;
  const JwtConfig& config_;
  const JwtRequirement* requirement_;
  std::string_view wrong_name_;  // Of a requirement that a route names and that is not there.
  KeySource* waited_for_ = nullptr;
  std::vector<KeySource*> failed_;
};

class Factory final : public FilterFactory {
 public:
  explicit Factory(JwtConfig config) : config_(std::move(config)) {
    for (const JwtProviderPtr& provider : config_.providers) {
      says_headers_ = says_headers_ || !provider->payload_header.empty() || !provider->claim_headers.empty();
    }
  }
  std::string_view name() const override { return config_.name; }

  Filter* make(FilterStream& stream) const override {
    const http::RequestHead& head = stream.request_head();
    const JwtRequirement* requirement = nullptr;
    std::string_view wrong_name;
    const auto* own = route::override_of<JwtOverride>(stream.route(), config_.name);
    if (config_.bypass_cors_preflight && is_preflight(head)) {
      config_.stats->of_worker(stream.worker()).cors_preflight_bypassed.add();
    } else if (own == nullptr) {
      requirement = requirement_of(stream);
    } else if (!own->disabled) {
      auto found = config_.named.find(own->requirement);
      if (found == config_.named.end()) {
        wrong_name = own->requirement;
      } else {
        requirement = found->second.get();
      }
    }
    if (requirement == nullptr && wrong_name.empty() && !says_headers_) return nullptr;
    void* place = stream.arena().allocate(sizeof(JwtFilter), alignof(JwtFilter));
    return new (place) JwtFilter(stream, config_, requirement, wrong_name);
  }

 private:
  const JwtRequirement* requirement_of(FilterStream& stream) const {
    const route::Route* rule = config_.rules->match({stream.request_head(), stream.random()});
    auto found = rule == nullptr ? config_.requirement_of_rule.end() : config_.requirement_of_rule.find(rule);
    return found == config_.requirement_of_rule.end() ? nullptr : found->second.get();
  }

  JwtConfig config_;
  bool says_headers_ = false;
};

}  // namespace

FilterFactoryPtr make_jwt_filter(JwtConfig config) { return std::make_shared<Factory>(std::move(config)); }

}  // namespace weft::filter
