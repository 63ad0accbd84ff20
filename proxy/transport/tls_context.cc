#include "proxy/transport/tls_context.h"

#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proxy/base/shared_by_content.h"
#include "proxy/transport/tls_stream.h"

namespace weft::transport {
namespace {

constexpr const char* kCiphers12 =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:"
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
// What TLS 1.0 and 1.1 have beside.
constexpr const char* kCiphers10 =
    ":ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES256-SHA";

uint16_t version_number(TlsVersion version, uint16_t otherwise) {
  switch (version) {
    case TlsVersion::kAuto:
      return otherwise;
    case TlsVersion::kTls10:
      return TLS1_VERSION;
    case TlsVersion::kTls11:
      return TLS1_1_VERSION;
    case TlsVersion::kTls12:
      return TLS1_2_VERSION;
    case TlsVersion::kTls13:
      return TLS1_3_VERSION;
  }
  return otherwise;
}

// Equal certificates of many contexts and peers are kept once.
CRYPTO_BUFFER_POOL* certificate_pool() {
  static CRYPTO_BUFFER_POOL* pool = CRYPTO_BUFFER_POOL_new();
  return pool;
}

int entry_uris_index() {
  static int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

absl::Status set_ciphers(SSL_CTX* context, const TlsParameters& parameters) {
  std::string list = absl::StrJoin(parameters.cipher_suites, ":");
  if (list.empty()) {
    list = kCiphers12;
    if (parameters.min == TlsVersion::kTls10 || parameters.min == TlsVersion::kTls11) list += kCiphers10;
  }
  if (SSL_CTX_set_strict_cipher_list(context, list.c_str()) == 1) return absl::OkStatus();
  ERR_clear_error();
  std::vector<std::string> unknown;
  for (const std::string& suite : parameters.cipher_suites) {
    if (SSL_CTX_set_strict_cipher_list(context, suite.c_str()) != 1) unknown.push_back(suite);
  }
  ERR_clear_error();
  return absl::InvalidArgumentError(
      absl::StrCat("cipher_suites: not known to BoringSSL: ",
                   absl::StrJoin(unknown.empty() ? parameters.cipher_suites : unknown, ", ")));
}

}  // namespace

const std::vector<std::string>& TlsContext::local_uri_sans(const SSL* ssl) {
  static const std::vector<std::string> none;
  const void* uris = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), entry_uris_index());
  return uris == nullptr ? none : *static_cast<const std::vector<std::string>*>(uris);
}

absl::StatusOr<bssl::UniquePtr<SSL_CTX>> TlsContext::new_context(const TlsParameters& parameters) {
  ERR_clear_error();
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("no memory for a TLS context");
  SSL_CTX_set0_buffer_pool(context.get(), certificate_pool());
  uint16_t min = version_number(parameters.min, TLS1_2_VERSION);
  uint16_t max = version_number(parameters.max, TLS1_3_VERSION);
  if (min > max) return absl::InvalidArgumentError("tls_minimum_protocol_version is above the maximum");
  SSL_CTX_set_min_proto_version(context.get(), min);
  SSL_CTX_set_max_proto_version(context.get(), max);
  absl::Status ciphers = set_ciphers(context.get(), parameters);
  if (!ciphers.ok()) return ciphers;
  std::string curves = parameters.ecdh_curves.empty() ? "X25519:P-256" : absl::StrJoin(parameters.ecdh_curves, ":");
  if (SSL_CTX_set1_curves_list(context.get(), curves.c_str()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat("ecdh_curves: '", curves, "' has one that BoringSSL does not know"));
  }
  if (!parameters.signature_algorithms.empty()) {
    std::string list = absl::StrJoin(parameters.signature_algorithms, ":");
    if (SSL_CTX_set1_sigalgs_list(context.get(), list.c_str()) != 1) {
      ERR_clear_error();
      return absl::InvalidArgumentError(
          absl::StrCat("signature_algorithms: '", list, "' has one that BoringSSL does not know"));
    }
  }
  // What is not written yet may move in memory between tries; partial writes never happen, for the BIO takes all.
  SSL_CTX_set_mode(context.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
  return context;
}

absl::Status TlsContext::show_identity(Entry* entry) {
  SSL_CTX* context = entry->context.get();
  const Identity& identity = entry->identity;
  ERR_clear_error();
  bool ok = SSL_CTX_use_certificate(context, identity.chain[0].get()) == 1 &&
            SSL_CTX_use_PrivateKey(context, identity.key.get()) == 1;
  for (size_t i = 1; ok && i < identity.chain.size(); ++i) {
    ok = SSL_CTX_add1_chain_cert(context, identity.chain[i].get()) == 1;
  }
  if (ok && !identity.ocsp_staple.empty()) {
    ok = SSL_CTX_set_ocsp_response(context, reinterpret_cast<const uint8_t*>(identity.ocsp_staple.data()),
                                   identity.ocsp_staple.size()) == 1;
  }
  if (!ok) {
    return absl::InvalidArgumentError(
        absl::StrCat(identity.name, ": this certificate cannot be used: ", take_tls_reason()));
  }
  entry->names = subject_alt_names(identity.chain[0].get());
  return absl::OkStatus();
}

void TlsContext::describe(const Entry& entry, std::vector<CertificateInfo>* out) {
  if (entry.identity.chain.empty()) return;
  out->push_back(certificate_info(entry.identity.chain[0].get(), entry.identity.name, false));
}

void TlsContext::describe_trusted(std::vector<CertificateInfo>* out) const {
  for (const auto& certificate : verifier_->trusted()) {
    out->push_back(certificate_info(certificate.get(), verifier_->trusted_name(), true));
  }
}

namespace {

// RFC 7301, 3.1: each with its length in front.
std::string alpn_on_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

absl::Status check_alpn(const std::vector<std::string>& protocols) {
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) {
      return absl::InvalidArgumentError("alpn_protocols: a name has 1 to 255 bytes");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TlsContext::check(const TlsParameters& parameters, const std::vector<TlsCertificateConfig>& certificates,
                               const PeerValidation& validation, const std::vector<std::string>& alpn) {
  absl::Status status = new_context(parameters).status();
  if (status.ok()) status = check_alpn(alpn);
  for (const TlsCertificateConfig& certificate : certificates) {
    if (status.ok()) status = load_identity(certificate).status();
  }
  if (status.ok()) status = PeerVerifier::make(validation, false).status();
  return status;
}

absl::Status check_tls(const TlsParameters& parameters, const std::vector<TlsCertificateConfig>& certificates,
                       const PeerValidation& validation, const std::vector<std::string>& alpn) {
  return TlsContext::check(parameters, certificates, validation, alpn);
}

// ---- Server

namespace {

// The server context of a connection, for the library's callbacks.
const ServerTlsContext* server_of(const SSL* ssl) {
  return static_cast<const ServerTlsContext*>(&TlsStream::of(ssl)->context());
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Whether the client can check an ECDSA signature by a key on this curve (RFC 8446, 4.2.3; RFC 8422, 2).
bool can_check_ecdsa(const SSL_CLIENT_HELLO* hello, int curve) {
  auto holds = [](const uint8_t* list, size_t size, auto wanted) {
    for (size_t i = 0; i + 1 < size; i += 2) {
      if (wanted(static_cast<uint16_t>(list[i] << 8 | list[i + 1]))) return true;
    }
    return false;
  };
  const uint8_t* extension;
  size_t size;
  bool signature = false;
  if (SSL_early_callback_ctx_extension_get(hello, TLSEXT_TYPE_signature_algorithms, &extension, &size) == 1 &&
      size > 2) {
    uint16_t scheme = curve == NID_secp384r1   ? SSL_SIGN_ECDSA_SECP384R1_SHA384
                      : curve == NID_secp521r1 ? SSL_SIGN_ECDSA_SECP521R1_SHA512
                                               : SSL_SIGN_ECDSA_SECP256R1_SHA256;
    signature = holds(extension + 2, size - 2, [&](uint16_t each) { return each == scheme; });
  }
  // A TLS 1.3 suite says nothing of the signature; a TLS 1.2 one names it.
  bool cipher = holds(hello->cipher_suites, hello->cipher_suites_len, [](uint16_t suite) {
    if (suite >> 8 == 0x13) return true;
    const SSL_CIPHER* known = SSL_get_cipher_by_value(suite);
    return known != nullptr && SSL_CIPHER_get_auth_nid(known) == NID_auth_ecdsa;
  });
  return signature && cipher;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ServerTlsContext>> ServerTlsContext::make(ServerTlsConfig config) {
  auto self = std::make_shared<ServerTlsContext>();
  if (config.certificates.empty()) return absl::InvalidArgumentError("a TLS server needs a certificate");
  absl::StatusOr<std::unique_ptr<PeerVerifier>> verifier = PeerVerifier::make(std::move(config.validation), false);
  if (!verifier.ok()) return verifier.status();
  self->verifier_ = *std::move(verifier);
  self->config_ = std::move(config);
  absl::Status keys = self->load_ticket_keys();
  if (!keys.ok()) return keys;
  for (const TlsCertificateConfig& certificate : self->config_.certificates) {
    absl::Status added = self->add_certificate(certificate);
    if (!added.ok()) return added;
  }
  std::string scope = self->verifier_->fingerprint();
  absl::StrAppend(&scope, self->config_.require_client_certificate);
  for (const Entry& entry : self->entries_) scope += certificate_sha256(entry.identity.chain[0].get());
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(scope.data()), scope.size(), digest);
  for (Entry& entry : self->entries_) {
    SSL_CTX_set_session_id_context(entry.context.get(), digest, sizeof(digest));
    SSL_CTX_set_ex_data(entry.context.get(), entry_uris_index(), &entry.names.uris);
    // The configuration's copy of keys and passwords is no longer needed.
    entry.identity.key.reset();
  }
  // An assigned empty one would keep the memory of what it held.
  std::vector<TlsCertificateConfig>().swap(self->config_.certificates);
  self->config_.ticket_keys.clear();
  return std::shared_ptr<const ServerTlsContext>(std::move(self));
}

std::vector<CertificateInfo> ServerTlsContext::certificates() const {
  std::vector<CertificateInfo> out;
  for (const Entry& entry : entries_) describe(entry, &out);
  describe_trusted(&out);
  return out;
}

absl::Status ServerTlsContext::load_ticket_keys() {
  for (const DataSource& source : config_.ticket_keys) {
    absl::StatusOr<std::string> key = read_data_source(source);
    if (!key.ok()) return key.status();
    if (key->size() != 80) {
      return absl::InvalidArgumentError(
          absl::StrCat(data_source_name(source), ": a session ticket key has 80 bytes, not ", key->size()));
    }
    ticket_keys_.push_back(*std::move(key));
  }
  return absl::OkStatus();
}

absl::Status ServerTlsContext::add_certificate(const TlsCertificateConfig& certificate) {
  absl::StatusOr<Identity> identity = load_identity(certificate);
  if (!identity.ok()) return identity.status();
  absl::StatusOr<bssl::UniquePtr<SSL_CTX>> context = new_context(config_.parameters);
  if (!context.ok()) return context.status();
  Entry entry;
  entry.context = *std::move(context);
  entry.identity = *std::move(identity);
  absl::Status status = show_identity(&entry);
  if (status.ok()) status = configure(entry.context.get());
  if (!status.ok()) return status;
  const EVP_PKEY* key = entry.identity.key.get();
  entry.ecdsa = EVP_PKEY_id(key) == EVP_PKEY_EC;
  if (entry.ecdsa) entry.ecdsa_curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
  std::vector<std::string> names = entry.names.dns;
  if (names.empty()) names.push_back(common_name(entry.identity.chain[0].get()));
  for (const std::string& name : names) {
    if (!name.empty()) by_name_[lower(name)].push_back(entries_.size());
  }
  entries_.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status ServerTlsContext::configure(SSL_CTX* context) {
  int mode = SSL_VERIFY_NONE;
  if (config_.require_client_certificate) {
    mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  } else if (verifier_->asks_anything()) {
    mode = SSL_VERIFY_PEER;
  }
  SSL_CTX_set_custom_verify(context, mode, TlsStream::on_verify);
  for (const auto& ca : verifier_->trusted()) SSL_CTX_add_client_CA(context, ca.get());
  SSL_CTX_set_select_certificate_cb(context, on_client_hello);
  if (!config_.alpn.empty()) SSL_CTX_set_alpn_select_cb(context, on_alpn, this);
  if (!config_.prefer_client_ciphers) SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (!config_.stateless_resumption) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  if (!config_.stateful_resumption) SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (config_.session_timeout_s != 0) {
    SSL_CTX_set_timeout(context, config_.session_timeout_s);
    SSL_CTX_set_session_psk_dhe_timeout(context, config_.session_timeout_s);
  }
  if (!ticket_keys_.empty()) SSL_CTX_set_tlsext_ticket_key_cb(context, on_ticket);
  return check_alpn(config_.alpn);
}

bssl::UniquePtr<SSL> ServerTlsContext::new_connection() const {
  return bssl::UniquePtr<SSL>(SSL_new(entries_[0].context.get()));
}

const TlsContext::Entry& ServerTlsContext::choose(const SSL_CLIENT_HELLO* hello) const {
  // By name first, then by what the client can check; among equals the first configured.
  auto best = [&](const std::vector<size_t>& candidates) -> const Entry* {
    const Entry* chosen = nullptr;
    for (size_t index : candidates) {
      const Entry& entry = entries_[index];
      if (entry.ecdsa && can_check_ecdsa(hello, entry.ecdsa_curve)) return &entry;
      if (chosen == nullptr || (chosen->ecdsa && !entry.ecdsa)) chosen = &entry;
    }
    return chosen;
  };
  const char* asked = SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
  if (asked != nullptr) {
    std::string name = lower(asked);
    auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      if (size_t dot = name.find('.'); dot != std::string::npos) {
        found = by_name_.find(absl::StrCat("*", name.substr(dot)));
      }
    }
    if (found != by_name_.end()) return *best(found->second);
    if (!config_.full_scan_on_sni_mismatch && entries_.size() > 1) {
      // The first certificate stands for all names that none was made for, and with it one of the other key kind.
      std::vector<size_t> defaults = {0};
      for (size_t i = 1; i < entries_.size() && defaults.size() < 2; ++i) {
        if (entries_[i].ecdsa != entries_[0].ecdsa && entries_[i].names.dns == entries_[0].names.dns) {
          defaults.push_back(i);
        }
      }
      return *best(defaults);
    }
  }
  if (entries_.size() == 1) return entries_[0];
  std::vector<size_t> all(entries_.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return *best(all);
}

ssl_select_cert_result_t ServerTlsContext::on_client_hello(const SSL_CLIENT_HELLO* hello) {
  const ServerTlsContext* self = server_of(hello->ssl);
  if (self->entries_.size() == 1) return ssl_select_cert_success;
  const Entry& entry = self->choose(hello);
  return SSL_set_SSL_CTX(hello->ssl, entry.context.get()) != nullptr ? ssl_select_cert_success : ssl_select_cert_error;
}

int ServerTlsContext::on_alpn(SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t* offered,
                              unsigned offered_size, void* context) {
  const auto* self = static_cast<const ServerTlsContext*>(context);
  for (const std::string& protocol : self->config_.alpn) {
    for (unsigned i = 0; i < offered_size; i += 1u + offered[i]) {
      std::string_view each(reinterpret_cast<const char*>(offered + i + 1), offered[i]);
      if (each != protocol) continue;
      *out = offered + i + 1;
      *out_size = offered[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  // Without a common protocol the connection goes on without one, as in Envoy; HTTP then tells by its first bytes.
  return SSL_TLSEXT_ERR_NOACK;
}

int ServerTlsContext::on_ticket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac,
                                int encrypt) {
  // A key is its name (16 bytes), then the HMAC's (32), then the cipher's (32).
  constexpr size_t kName = 16, kHmac = 32;
  const ServerTlsContext* self = server_of(ssl);
  auto begin = [&](const std::string& key) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(key.data());
    return HMAC_Init_ex(hmac, bytes + kName, kHmac, EVP_sha256(), nullptr) == 1 &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, bytes + kName + kHmac, iv, encrypt) == 1;
  };
  if (encrypt == 1) {
    const std::string& key = self->ticket_keys_[0];
    std::copy_n(key.data(), kName, name);
    // The nonce is a secret's: it comes from the library, as all that guards keys does.
    if (RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    return begin(key) ? 1 : -1;
  }
  for (size_t i = 0; i < self->ticket_keys_.size(); ++i) {
    if (!std::equal(name, name + kName, self->ticket_keys_[i].begin(),
                    [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); })) {
      continue;
    }
    if (!begin(self->ticket_keys_[i])) return -1;
    return i == 0 ? 1 : 2;  // 2: make a new ticket with the first key.
  }
  return 0;
}

// ---- Client

namespace {

// Sessions of more addresses than this are not worth their memory.
constexpr size_t kMaxSessionAddresses = 4096;

int on_new_session(SSL* ssl, SSL_SESSION* session) {
  TlsStream* stream = TlsStream::of(ssl);
  static_cast<const ClientTlsContext&>(stream->context())
      .keep_session(stream->session_key(), bssl::UniquePtr<SSL_SESSION>(session));
  return 1;
}

}  // namespace

void ClientTlsContext::offer_stream_alpn(SSL* ssl) const {
  if (config_.stream_alpn.empty()) return;
  std::string protocols = alpn_on_wire(config_.stream_alpn);
  SSL_set_alpn_protos(ssl, reinterpret_cast<const uint8_t*>(protocols.data()), static_cast<unsigned>(protocols.size()));
}

absl::StatusOr<std::shared_ptr<TlsContext::Entry>> ClientTlsContext::make_entry(const ClientTlsConfig& config,
                                                                                bool keeps_sessions) {
  auto entry = std::make_shared<Entry>();
  absl::StatusOr<bssl::UniquePtr<SSL_CTX>> context = new_context(config.parameters);
  if (!context.ok()) return context.status();
  entry->context = *std::move(context);
  SSL_CTX* ctx = entry->context.get();
  if (config.certificate.chain.present() || config.certificate.pkcs12.present()) {
    absl::StatusOr<Identity> identity = load_identity(config.certificate);
    if (!identity.ok()) return identity.status();
    entry->identity = *std::move(identity);
    absl::Status shown = show_identity(entry.get());
    if (!shown.ok()) return shown;
    SSL_CTX_set_ex_data(ctx, entry_uris_index(), &entry->names.uris);
    entry->identity.key.reset();
  }
  SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, TlsStream::on_verify);
  std::string protocols = alpn_on_wire(config.alpn);
  // This one call of the library says 0 for success.
  if (SSL_CTX_set_alpn_protos(ctx, reinterpret_cast<const uint8_t*>(protocols.data()),
                              static_cast<unsigned>(protocols.size())) != 0) {
    return absl::InvalidArgumentError("alpn_protocols: too long");
  }
  if (keeps_sessions) {
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
  } else {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  }
  return entry;
}

absl::StatusOr<std::shared_ptr<const TlsContext::Entry>> ClientTlsContext::shared_entry(ClientTlsConfig* config) {
  static base::SharedByContent<Entry> entries;
  TlsCertificateConfig& certificate = config->certificate;
  for (DataSource* source : {&certificate.chain, &certificate.private_key, &certificate.pkcs12, &certificate.password,
                             &certificate.ocsp_staple}) {
    if (absl::Status status = fill(source); !status.ok()) return status;
  }
  // A resumed session would not tell whether its certificate had been verified.
  const bool keeps_sessions = config->max_session_keys != 0 && !config->validation.accept_untrusted;
  const TlsParameters& parameters = config->parameters;
  const std::string content = content_digest(
      {certificate.chain.path, certificate.chain.bytes, certificate.private_key.bytes, certificate.pkcs12.path,
       certificate.pkcs12.bytes, certificate.password.bytes, certificate.ocsp_staple.bytes,
       absl::StrJoin(parameters.cipher_suites, ":"), absl::StrJoin(parameters.ecdh_curves, ":"),
       absl::StrJoin(parameters.signature_algorithms, ":"), alpn_on_wire(config->alpn),
       absl::StrCat(static_cast<int>(parameters.min), ".", static_cast<int>(parameters.max), ".", keeps_sessions)});
  return entries.get(
      content, [&]() -> absl::StatusOr<std::shared_ptr<const Entry>> { return make_entry(*config, keeps_sessions); });
}

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> ClientTlsContext::make(ClientTlsConfig config) {
  auto self = std::make_shared<ClientTlsContext>();
  if (config.auto_sni_san_validation && !config.sni.empty()) {
    SanMatcher matcher;
    Address ip = Address::parse_ip(config.sni, 0);
    matcher.type = ip.family == Address::Family::kNone ? SanMatcher::Type::kDns : SanMatcher::Type::kIpAddress;
    if (matcher.type == SanMatcher::Type::kDns) matcher.exact_dns = config.sni;
    matcher.matches = [text = ip.ip_text()](std::string_view name) { return name == text; };
    matcher.description = absl::StrCat("exact ", config.sni);
    config.validation.san_matchers.assign(1, std::move(matcher));
  }
  for (const auto* alpn : {&config.alpn, &config.stream_alpn}) {
    if (absl::Status status = check_alpn(*alpn); !status.ok()) return status;
  }
  absl::StatusOr<std::shared_ptr<const Entry>> entry = shared_entry(&config);
  if (!entry.ok()) return entry.status();
  self->entry_ = *std::move(entry);
  for (DataSource* secret :
       {&config.certificate.private_key, &config.certificate.pkcs12, &config.certificate.password}) {
    wipe(secret);
  }
  // Out of the configuration, and not assigned an empty one: a string that is keeps its memory.
  {
    TlsCertificateConfig used = std::move(config.certificate);
  }
  absl::StatusOr<std::unique_ptr<PeerVerifier>> verifier = PeerVerifier::make(std::move(config.validation), true);
  if (!verifier.ok()) return verifier.status();
  self->verifier_ = *std::move(verifier);
  config.validation = PeerValidation();
  self->config_ = std::move(config);
  return std::shared_ptr<const ClientTlsContext>(std::move(self));
}

std::vector<CertificateInfo> ClientTlsContext::certificates() const {
  std::vector<CertificateInfo> out;
  describe(*entry_, &out);
  describe_trusted(&out);
  return out;
}

bssl::UniquePtr<SSL> ClientTlsContext::new_connection() const {
  bssl::UniquePtr<SSL> ssl(SSL_new(entry_->context.get()));
  // RFC 6066, 3: an address is no server name.
  if (ssl != nullptr && !config_.sni.empty() && Address::parse_ip(config_.sni, 0).family == Address::Family::kNone) {
    SSL_set_tlsext_host_name(ssl.get(), config_.sni.c_str());
  }
  return ssl;
}

bssl::UniquePtr<SSL_SESSION> ClientTlsContext::take_session(const std::string& address) const {
  std::lock_guard lock(mutex_);
  auto found = sessions_.find(address);
  if (found == sessions_.end() || found->second.empty()) return nullptr;
  SSL_SESSION* newest = found->second.back().get();
  if (!SSL_SESSION_should_be_single_use(newest)) return bssl::UpRef(newest);
  // RFC 8446, C.4: a ticket that is shown twice links the connections.
  bssl::UniquePtr<SSL_SESSION> session = std::move(found->second.back());
  found->second.pop_back();
  return session;
}

void ClientTlsContext::keep_session(const std::string& address, bssl::UniquePtr<SSL_SESSION> session) const {
  std::lock_guard lock(mutex_);
  if (sessions_.size() >= kMaxSessionAddresses && !sessions_.contains(address)) sessions_.clear();
  auto& kept = sessions_[address];
  if (kept.size() >= config_.max_session_keys) kept.erase(kept.begin());
  kept.push_back(std::move(session));
}

}  // namespace weft::transport
