#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "api/keys/public_key.h"
#include "api/text/parse.h"
#include "control-plane/registry/check.h"
#include "control-plane/registry/web_address.h"
#include "kubernetes/meta/v1/meta.pb.h"
#include "weft/v1/request_authentication.pb.h"

namespace weft::control::registry {

namespace {

using google::protobuf::Struct;

constexpr int kMaxKeys = 100;

std::string text_of(const Struct& key, const char* name) {
  const auto found = key.fields().find(name);
  return found == key.fields().end() ? "" : found->second.string_value();
}

// Whether proxies take it. One that is of a kind which they take, and is no key, is a mistake.
bool check_key(const Struct& key, const std::string& path, size_t index, Check* check) {
  const auto read = keys::read_public_key({.type = text_of(key, "kty"),
                                           .curve = text_of(key, "crv"),
                                           .use = text_of(key, "use"),
                                           .n = text_of(key, "n"),
                                           .e = text_of(key, "e"),
                                           .x = text_of(key, "x"),
                                           .y = text_of(key, "y")});
  if (absl::IsInvalidArgument(read.status())) {
    const std::string id = text_of(key, "kid");
    check->fail(path, text::cat("keys[", index, "]", id.empty() ? "" : text::cat(" (kid \"", id, "\")"), ": ",
                                std::string(read.status().message())));
  }
  return read.ok();
}

void check_keys(const std::string& text, const std::string& path, Check* check) {
  Struct set;
  const bool is_json = text::parse(text, "jwks.json", &set).ok();
  const auto keys = set.fields().find("keys");
  if (!is_json || keys == set.fields().end() || keys->second.list_value().values().empty()) {
    return check->fail(path, "expected a JSON Web Key Set: {\"keys\": [ … ]} with at least one key");
  }
  const auto& list = keys->second.list_value().values();
  if (list.size() > kMaxKeys) {
    return check->fail(path, text::cat("it has ", list.size(), " keys; at most ", kMaxKeys, " are taken"));
  }
  const size_t before = check->count();
  bool any = false;
  for (int i = 0; i < list.size(); ++i) {
    any = check_key(list[i].struct_value(), path, static_cast<size_t>(i), check) || any;
  }
  if (!any && check->count() == before) {
    check->fail(path,
                "it has no key that can be used: public ones, RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, "
                "or OKP Ed25519, and not for encryption alone");
  }
}

void check_where_keys_are(const v1::JwtRule& rule, const std::string& path, Check* check) {
  if (rule.jwks().empty() == rule.jwks_uri().empty()) {
    check->fail(path, "expected one of jwks, the issuer's keys, and jwksUri, where they are to be had");
  } else if (rule.jwks_uri().empty()) {
    check_keys(rule.jwks(), at(path, "jwks"), check);
  } else {
    check->expect(parse_web_address(rule.jwks_uri()).has_value(), at(path, "jwksUri"),
                  "http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH", rule.jwks_uri());
  }
  if (rule.timeout().empty()) return;
  if (rule.jwks_uri().empty()) check->fail(at(path, "timeout"), "expected none: it is how long jwksUri may take");
  check->duration(rule.timeout(), at(path, "timeout"));
  check->expect(parse_duration_ms(rule.timeout()) != 0, at(path, "timeout"), "more than nothing", rule.timeout());
}

// What is not empty and has nothing that ends it where it stands.
void check_names(const google::protobuf::RepeatedPtrField<std::string>& names, const std::string& path,
                 std::string_view what, Check* check) {
  for (int i = 0; i < names.size(); ++i) {
    check->expect(is_token(names[i]), text::index_path(path, static_cast<size_t>(i)), what, names[i]);
  }
}

void check_header(const std::string& name, const std::string& path, Check* check) {
  check->expect(is_token(name), path, "a header's name", name);
}

void check_outputs(const v1::JwtRule& rule, const std::string& path, Check* check) {
  std::set<std::string> known;
  const auto once = [&](const std::string& name, const std::string& where) {
    check_header(name, where, check);
    if (!known.insert(absl::AsciiStrToLower(name)).second) check->fail(where, text::cat("\"", name, "\" is set twice"));
  };
  if (!rule.output_payload_to_header().empty()) {
    once(rule.output_payload_to_header(), at(path, "outputPayloadToHeader"));
  }
  for (int i = 0; i < rule.output_claim_to_headers_size(); ++i) {
    const auto& each = rule.output_claim_to_headers(i);
    const std::string here = at(path, "outputClaimToHeaders", i);
    once(each.header(), at(here, "header"));
    check->expect(!each.claim().empty(), at(here, "claim"), "a claim's name", each.claim());
  }
}

void check_rule(const v1::JwtRule& rule, const std::string& path, Check* check) {
  check->expect(!rule.issuer().empty(), at(path, "issuer"), "the issuer's name, as tokens have it", rule.issuer());
  for (int i = 0; i < rule.audiences_size(); ++i) {
    check->expect(!rule.audiences(i).empty(), at(path, "audiences", i), "an audience", rule.audiences(i));
  }
  check_where_keys_are(rule, path, check);
  for (int i = 0; i < rule.from_headers_size(); ++i) {
    check_header(rule.from_headers(i).name(), at(at(path, "fromHeaders", i), "name"), check);
  }
  check_names(rule.from_params(), at(path, "fromParams"), "a parameter's name", check);
  check_names(rule.from_cookies(), at(path, "fromCookies"), "a cookie's name", check);
  check_outputs(rule, path, check);
}

}  // namespace

void check(const v1::RequestAuthentication& object, Check* check) {
  check_service_targets(object.spec().target_refs(), object.metadata(), check);
  if (object.spec().jwt_rules().empty()) check->fail("spec.jwtRules", "expected at least one");
  for (int i = 0; i < object.spec().jwt_rules_size(); ++i) {
    check_rule(object.spec().jwt_rules(i), at("spec", "jwtRules", i), check);
  }
}

}  // namespace weft::control::registry
