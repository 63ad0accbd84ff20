#include "proxy/transport/tls_verifier.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "proxy/base/shared_by_content.h"
#include "proxy/transport/tls_certificate.h"

namespace weft::transport {
namespace {

int allow_expired(int ok, X509_STORE_CTX* context) {
  if (ok == 1) return 1;
  int error = X509_STORE_CTX_get_error(context);
  if (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID) {
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
  }
  return 0;
}

absl::Status parse_pins(const PeerValidation& config, std::vector<std::string>* keys,
                        std::vector<std::string>* certificates) {
  for (const std::string& text : config.certificate_spki) {
    std::string digest;
    if (!absl::Base64Unescape(text, &digest) || digest.size() != 32) {
      return absl::InvalidArgumentError(
          absl::StrCat("verify_certificate_spki: '", text, "' is not the base64 of a SHA-256 (44 characters)"));
    }
    keys->push_back(std::move(digest));
  }
  for (const std::string& text : config.certificate_hashes) {
    std::string hex = absl::StrReplaceAll(text, {{":", ""}});
    bool digits = std::all_of(hex.begin(), hex.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
    if (hex.size() != 64 || !digits) {
      return absl::InvalidArgumentError(
          absl::StrCat("verify_certificate_hash: '", text, "' is not the hex of a SHA-256 (64 digits)"));
    }
    certificates->push_back(absl::HexStringToBytes(hex));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<TrustStore>> make_store(const PeerValidation& config) {
  auto trust = std::make_shared<TrustStore>();
  trust->store.reset(X509_STORE_new());
  if (config.trusted_ca.present()) {
    auto certificates = load_certificates(config.trusted_ca);
    if (!certificates.ok()) return certificates.status();
    for (const auto& certificate : *certificates) X509_STORE_add_cert(trust->store.get(), certificate.get());
    trust->trusted = *std::move(certificates);
  }
  if (config.system_trusted_ca && X509_STORE_load_locations(trust->store.get(), nullptr, "/etc/ssl/certs") != 1) {
    return absl::UnavailableError(
        absl::StrCat("the system's trusted certificates in /etc/ssl/certs cannot be read: ", take_tls_reason()));
  }
  unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;  // A trusted intermediate is enough, as in Envoy.
  if (config.crl.present()) {
    auto crls = load_crls(config.crl);
    if (!crls.ok()) return crls.status();
    for (const auto& crl : *crls) X509_STORE_add_crl(trust->store.get(), crl.get());
    flags |= X509_V_FLAG_CRL_CHECK;
    if (!config.only_verify_leaf_crl) flags |= X509_V_FLAG_CRL_CHECK_ALL;
  }
  X509_STORE_set_flags(trust->store.get(), flags);
  X509_VERIFY_PARAM_set_depth(X509_STORE_get0_param(trust->store.get()),
                              static_cast<int>(std::min<uint32_t>(config.max_verify_depth, 100)));
  ERR_clear_error();
  return trust;
}

// Files are read into `config` first, as what they hold decides.
absl::StatusOr<std::shared_ptr<const TrustStore>> shared_store(PeerValidation* config) {
  static base::SharedByContent<TrustStore> stores;
  for (DataSource* source : {&config->trusted_ca, &config->crl}) {
    if (absl::Status status = fill(source); !status.ok()) return status;
  }
  const std::string content =
      content_digest({config->trusted_ca.bytes, config->crl.bytes,
                      absl::StrCat(config->system_trusted_ca, config->only_verify_leaf_crl, config->max_verify_depth)});
  return stores.get(content, [&]() -> absl::StatusOr<std::shared_ptr<const TrustStore>> {
    auto made = make_store(*config);
    if (made.ok()) (*made)->digest = content;
    return made;
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<PeerVerifier>> PeerVerifier::make(PeerValidation config, bool peer_is_server) {
  std::unique_ptr<PeerVerifier> verifier(new PeerVerifier());
  verifier->peer_is_server_ = peer_is_server;
  absl::Status pins = parse_pins(config, &verifier->pinned_keys_, &verifier->pinned_certificates_);
  if (!pins.ok()) return pins;
  verifier->has_store_ = config.trusted_ca.present() || config.system_trusted_ca;
  verifier->asks_anything_ = config.present();
  verifier->trusted_name_ = data_source_name(config.trusted_ca);
  if (config.crl.present() && !verifier->has_store_) return absl::InvalidArgumentError("a crl needs a trusted_ca");
  if (!config.san_matchers.empty() && !verifier->has_store_) {
    return absl::InvalidArgumentError("subject alternative names can only be matched with a trusted_ca");
  }
  auto trust = shared_store(&config);
  if (!trust.ok()) return trust.status();
  verifier->trust_ = *std::move(trust);
  // An assigned empty string would keep the memory, of every cluster the same text.
  {
    DataSource used[] = {std::move(config.trusted_ca), std::move(config.crl)};
  }
  verifier->config_ = std::move(config);
  return verifier;
}

bool PeerVerifier::verify_chain(const STACK_OF(X509) * chain, PeerVerdict* verdict) const {
  bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  X509* leaf = sk_X509_value(chain, 0);
  if (context == nullptr ||
      X509_STORE_CTX_init(context.get(), trust_->store.get(), leaf, const_cast<STACK_OF(X509)*>(chain)) != 1) {
    verdict->alert = SSL_AD_INTERNAL_ERROR;
    verdict->reason = "certificate verify failed: out of memory";
    return false;
  }
  X509_STORE_CTX_set_default(context.get(), peer_is_server_ ? "ssl_server" : "ssl_client");
  if (config_.allow_expired) X509_STORE_CTX_set_verify_cb(context.get(), allow_expired);
  int result = X509_verify_cert(context.get());
  ERR_clear_error();
  if (result == 1) return true;
  int error = X509_STORE_CTX_get_error(context.get());
  verdict->alert = static_cast<uint8_t>(SSL_alert_from_verify_result(error));
  verdict->reason = absl::StrCat("certificate verify failed: ", X509_verify_cert_error_string(error));
  return false;
}

bool PeerVerifier::pinned(const X509* leaf) const {
  if (pinned_keys_.empty() && pinned_certificates_.empty()) return true;
  auto holds = [](const std::vector<std::string>& pins, const std::string& digest) {
    return std::find(pins.begin(), pins.end(), digest) != pins.end();
  };
  return (!pinned_keys_.empty() && holds(pinned_keys_, public_key_sha256(leaf))) ||
         (!pinned_certificates_.empty() && holds(pinned_certificates_, certificate_sha256(leaf)));
}

bool PeerVerifier::names_match(const X509* leaf) const {
  if (config_.san_matchers.empty()) return true;
  SubjectAltNames names = subject_alt_names(leaf);
  auto any = [](const std::vector<std::string>& list, const SanMatcher& matcher) {
    return std::any_of(list.begin(), list.end(), [&](const std::string& name) { return matcher.matches(name); });
  };
  for (const SanMatcher& matcher : config_.san_matchers) {
    bool matched = false;
    switch (matcher.type) {
      case SanMatcher::Type::kDns:
        matched = matcher.exact_dns.empty()
                      ? any(names.dns, matcher)
                      : std::any_of(names.dns.begin(), names.dns.end(),
                                    [&](const std::string& name) { return dns_name_matches(name, matcher.exact_dns); });
        break;
      case SanMatcher::Type::kUri:
        matched = any(names.uris, matcher);
        break;
      case SanMatcher::Type::kEmail:
        matched = any(names.emails, matcher);
        break;
      case SanMatcher::Type::kIpAddress:
        matched = any(names.ips, matcher);
        break;
      case SanMatcher::Type::kAny:
        matched = any(names.dns, matcher) || any(names.uris, matcher) || any(names.emails, matcher) ||
                  any(names.ips, matcher);
        break;
    }
    if (matched) return true;
  }
  return false;
}

namespace {

bool is_for(const X509* leaf, std::string_view name) {
  SubjectAltNames names = subject_alt_names(leaf);
  Address ip = Address::parse_ip(name, 0);
  if (ip.family != Address::Family::kNone) {
    return std::find(names.ips.begin(), names.ips.end(), ip.ip_text()) != names.ips.end();
  }
  return std::any_of(names.dns.begin(), names.dns.end(),
                     [&](const std::string& each) { return dns_name_matches(each, name); });
}

}  // namespace

PeerVerdict PeerVerifier::verify(const STACK_OF(X509) * chain, std::string_view name) const {
  PeerVerdict verdict;
  if (chain == nullptr || sk_X509_num(chain) == 0) {
    verdict.failure = ByteStream::TlsFailure::kNoCertificate;
    verdict.alert = SSL_AD_CERTIFICATE_REQUIRED;
    verdict.reason = "the peer showed no certificate";
    return verdict;
  }
  const X509* leaf = sk_X509_value(chain, 0);
  bool chain_ok = !has_store_ || verify_chain(chain, &verdict);
  if (!chain_ok && !config_.accept_untrusted) {
    verdict.failure = ByteStream::TlsFailure::kVerify;
    return verdict;
  }
  verdict.alert = SSL_AD_CERTIFICATE_UNKNOWN;
  if (!pinned(leaf)) {
    verdict.failure = ByteStream::TlsFailure::kVerify;
    verdict.reason = "certificate verify failed: it is none of the pinned certificates";
    return verdict;
  }
  if (!name.empty() && !is_for(leaf, name)) {
    verdict.failure = ByteStream::TlsFailure::kSan;
    verdict.reason = absl::StrCat("certificate verify failed: it is not for ", std::string(name));
    return verdict;
  }
  if (name.empty() && !names_match(leaf)) {
    verdict.failure = ByteStream::TlsFailure::kSan;
    verdict.reason =
        absl::StrCat("certificate verify failed: no subject alternative name is ",
                     absl::StrJoin(config_.san_matchers, " or ",
                                   [](std::string* out, const SanMatcher& m) { absl::StrAppend(out, m.description); }));
    return verdict;
  }
  verdict.accepted = true;
  verdict.verified = chain_ok && asks_anything();
  verdict.alert = 0;
  return verdict;
}

std::string PeerVerifier::fingerprint() const {
  std::string text = absl::StrCat(config_.allow_expired, config_.accept_untrusted, "|", trust_->digest, "|",
                                  absl::StrJoin(pinned_keys_, ""), "|", absl::StrJoin(pinned_certificates_, ""), "|");
  for (const SanMatcher& matcher : config_.san_matchers) {
    absl::StrAppend(&text, static_cast<int>(matcher.type), matcher.exact_dns, matcher.description, "|");
  }
  return text;
}

}  // namespace weft::transport
