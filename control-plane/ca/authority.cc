#include "control-plane/ca/authority.h"

#include <openssl/objects.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/base/log.h"
#include "control-plane/ca/chain.h"

namespace weft::control::ca {

using text::cat;

namespace {

constexpr size_t kMaxPeerBytes = 64 * 1024;

struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// The one URI among the certificate's names; empty if there is none or more (X.509-SVID, section 2).
std::string only_uri(const X509& certificate) {
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string uri;
  int count = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    ++count;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uri.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
               static_cast<size_t>(ASN1_STRING_length(text)));
  }
  return count == 1 ? uri : "";
}

// RSA keys may also be used to wrap keys, which TLS before 1.3 does.
std::string key_usage(const EVP_PKEY& key) {
  const bool is_rsa = EVP_PKEY_get_base_id(&key) == EVP_PKEY_RSA;
  return is_rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
}

absl::Status append_pem(const X509& certificate, std::string* out) {
  const absl::StatusOr<std::string> pem = to_pem(certificate);
  if (!pem.ok()) return pem.status();
  out->append(*pem);
  return absl::OkStatus();
}

absl::Status not_ours(std::string_view what) {
  return absl::UnauthenticatedError(cat("the certificate is not one of this mesh: ", what));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authority>> Authority::open(Options options, std::unique_ptr<AuthorityStore> store,
                                                           base::Clock& clock, base::RandomBytes random) {
  if (!is_trust_domain(options.trust_domain)) {
    return absl::InvalidArgumentError(cat("the trust domain is \"", options.trust_domain,
                                          "\"; expected lower-case letters, digits, '.', '-' and '_', at most 255"));
  }
  std::unique_ptr<Authority> authority(new Authority(std::move(options), std::move(store), clock, std::move(random)));
  if (absl::Status status = authority->start(); !status.ok()) return status;
  return authority;
}

std::string Authority::folder_of(int64_t id) const { return cat(options_.folder, "/", id); }

absl::Status Authority::start() {
  if (!options_.certificate_path.empty()) {
    absl::StatusOr<Generation> given =
        read_given_generation(options_.certificate_path, options_.key_path, options_.root_path, clock_.wall_ms());
    if (!given.ok()) return given.status();
    entries_.push_back({{}, *std::move(given)});
    return absl::OkStatus();
  }
  const absl::StatusOr<std::vector<GenerationRecord>> records = store_->load_generations();
  if (!records.ok()) return records.status();
  for (const GenerationRecord& record : *records) {
    absl::StatusOr<Generation> generation = load_generation(folder_of(record.id));
    if (!generation.ok()) return generation.status();
    entries_.push_back({record, *std::move(generation)});
  }
  if (!entries_.empty()) {
    remove_dropped();
    return absl::OkStatus();
  }
  absl::StatusOr<Entry> first = make_entry(1, Stage::kSigning);
  if (!first.ok()) return first.status();
  entries_.push_back(*std::move(first));
  return save();
}

void Authority::remove_dropped() const {
  std::error_code error;
  for (int64_t id = entries_.front().record.id - 1; id > 0 && std::filesystem::exists(folder_of(id), error); --id) {
    std::filesystem::remove_all(folder_of(id), error);
    if (error) base::log_warning(cat("cannot remove ", folder_of(id), ": ", error.message()));
  }
}

absl::StatusOr<Authority::Entry> Authority::make_entry(int64_t id, Stage stage) {
  const int64_t now_ms = clock_.wall_ms();
  absl::StatusOr<Generation> generation = make_generation(folder_of(id), options_.trust_domain, now_ms);
  if (!generation.ok()) return generation.status();
  return Entry{{.id = id, .stage = stage, .created_ms = now_ms}, *std::move(generation)};
}

absl::Status Authority::save() const {
  std::vector<GenerationRecord> records;
  for (const Entry& each : entries_) records.push_back(each.record);
  return store_->save_generations(records);
}

bool Authority::has(Stage stage) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [stage](const Entry& entry) { return entry.record.stage == stage; });
}

Authority::Entry& Authority::at(Stage stage) {
  return *std::find_if(entries_.begin(), entries_.end(),
                       [stage](const Entry& entry) { return entry.record.stage == stage; });
}

const Authority::Entry& Authority::signing() const {
  return *std::find_if(entries_.begin(), entries_.end(),
                       [](const Entry& entry) { return entry.record.stage == Stage::kSigning; });
}

int64_t Authority::renew_at(int64_t now_ms, int64_t not_after_ms) {
  uint8_t chance = 0;
  random_(&chance, sizeof(chance));
  const int64_t life_ms = not_after_ms - now_ms;
  return now_ms + life_ms / 2 + life_ms * chance / (6 * 256);
}

absl::StatusOr<Authority::Signed> Authority::sign_locked(const Applicant& applicant, EVP_PKEY& key) {
  const int64_t now_ms = clock_.wall_ms();
  Entry& entry = at(Stage::kSigning);
  const absl::StatusOr<bool> renewed = renew_intermediate(entry.generation, now_ms);
  // The old one still signs.
  if (!renewed.ok()) {
    base::log_warning(cat("the intermediate certificate cannot be renewed: ", std::string(renewed.status().message())));
  }
  const int64_t not_after = std::min(now_ms + options_.ttl_ms, entry.generation.chain_not_after_ms());
  if (not_after <= now_ms) {
    return absl::FailedPreconditionError(
        "the authority's own certificate has ended, and nothing below it would be valid; `weftctl ca status` shows it, "
        "`weftctl ca rotate` replaces it");
  }
  const std::string uri = spiffe_id(options_.trust_domain, applicant.identity);
  CertificateDraft draft{
      .subject = {},
      .not_before_ms = now_ms - kSkewMs,
      .not_after_ms = not_after,
      .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                     {NID_key_usage, key_usage(key)},
                     {NID_ext_key_usage, "serverAuth,clientAuth"},
                     {NID_authority_key_identifier, "keyid"},
                     // RFC 5280, 4.2.1.6: critical where there is no subject.
                     {NID_subject_alt_name, cat(applicant.origin.empty() ? "critical," : "", "URI:", uri)}}};
  if (!applicant.origin.empty()) draft.subject.emplace_back(NID_organizationalUnitName, applicant.origin);
  const absl::StatusOr<Certificate> certificate =
      make_certificate(draft, key, &entry.generation.issuer(), *entry.generation.signing_key);
  if (!certificate.ok()) return certificate.status();
  Signed out{.chain_der = {},
             .spiffe_id = uri,
             .not_before_ms = not_before_ms(**certificate),
             .not_after_ms = not_after_ms(**certificate),
             .renew_at_ms = renew_at(now_ms, not_after)};
  absl::StatusOr<std::string> der = to_der(**certificate);
  if (!der.ok()) return der.status();
  out.chain_der.push_back(*std::move(der));
  for (const Certificate& each : entry.generation.intermediates) {
    absl::StatusOr<std::string> above = to_der(*each);
    if (!above.ok()) return above.status();
    out.chain_der.push_back(*std::move(above));
  }
  entry.record.last_not_after_ms = std::max(entry.record.last_not_after_ms, out.not_after_ms);
  ++counts_.issued;
  const absl::Status logged = store_->append({.serial = serial_of(**certificate),
                                              .spiffe_id = uri,
                                              .node = applicant.node,
                                              .peer = applicant.peer,
                                              .origin = applicant.origin,
                                              .shown = applicant.shown,
                                              .generation = entry.record.id,
                                              .issued_ms = now_ms,
                                              .not_before_ms = out.not_before_ms,
                                              .not_after_ms = out.not_after_ms});
  if (!logged.ok()) {
    // A mesh that stands still for want of a log would be the worse of the two.
    ++counts_.unlogged;
    base::log_warning(cat("a certificate of ", uri, " is not in the log: ", std::string(logged.message())));
  }
  return out;
}

absl::StatusOr<Authority::Signed> Authority::sign(const Applicant& applicant, EVP_PKEY& key) {
  const std::lock_guard lock(mutex_);
  return sign_locked(applicant, key);
}

absl::StatusOr<Authority::MadePair> Authority::make_pair(const Applicant& applicant) {
  const absl::StatusOr<Key> key = make_key();
  if (!key.ok()) return key.status();
  absl::StatusOr<Signed> signed_ = sign(applicant, **key);
  if (!signed_.ok()) return signed_.status();
  absl::StatusOr<std::string> key_pem = to_pem(**key);
  if (!key_pem.ok()) return key_pem.status();
  MadePair pair{.chain_pem = {}, .key_pem = *std::move(key_pem), .signed_ = *std::move(signed_)};
  for (const std::string& der : pair.signed_.chain_der) {
    const unsigned char* at = reinterpret_cast<const unsigned char*>(der.data());
    const Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (absl::Status status = append_pem(*certificate, &pair.chain_pem); !status.ok()) return status;
  }
  return pair;
}

absl::StatusOr<Authority::Peer> Authority::verify(std::string_view certificate_pem, std::string_view chain_pem) const {
  if (certificate_pem.size() + chain_pem.size() > kMaxPeerBytes) return not_ours("it and its chain are too long");
  const auto leaf = read_certificates_pem(certificate_pem, "it");
  if (!leaf.ok()) return not_ours(std::string(leaf.status().message()));
  // What does not read of the chain leads nowhere; ours is known.
  std::vector<Certificate> sent;
  if (auto read = read_certificates_pem(chain_pem, "its chain"); read.ok()) sent = *std::move(read);
  X509& certificate = *leaf->front();
  std::vector<Certificate> roots;
  {
    const auto share = [](const Certificate& from, std::vector<Certificate>& to) {
      X509_up_ref(from.get());
      to.emplace_back(from.get());
    };
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      for (const Certificate& each : entry.generation.roots) share(each, roots);
      for (const Certificate& each : entry.generation.intermediates) share(each, sent);
    }
  }
  Anchors anchors;
  for (const Certificate& each : roots) anchors.roots.push_back(each.get());
  for (const Certificate& each : sent) anchors.intermediates.push_back(each.get());
  const auto path = build_chain(certificate, anchors, X509_PURPOSE_SSL_CLIENT, clock_.wall_ms());
  if (!path.ok()) return not_ours(std::string(path.status().message()));
  const std::string uri = only_uri(certificate);
  const std::optional<Identity> identity = parse_spiffe_id(uri, options_.trust_domain);
  if (!identity.has_value()) {
    return not_ours(cat("its name is \"", uri.substr(0, 256), "\"; expected spiffe://", options_.trust_domain,
                        "/ns/NAMESPACE/sa/SERVICE_ACCOUNT"));
  }
  return Peer{.identity = *identity,
              .serial = serial_of(certificate),
              .origin = subject_part(certificate, NID_organizationalUnitName),
              .not_after_ms = not_after_ms(certificate)};
}

std::string Authority::roots_pem_locked() const {
  std::string out;
  for (const Entry& entry : entries_) {
    for (const Certificate& root : entry.generation.roots) {
      if (const absl::Status status = append_pem(*root, &out); !status.ok()) base::log_error(status.ToString());
    }
  }
  return out;
}

std::string Authority::roots_pem() const {
  const std::lock_guard lock(mutex_);
  return roots_pem_locked();
}

void Authority::set_on_roots(std::function<void(const std::string& roots_pem)> on_roots) {
  const std::lock_guard lock(mutex_);
  on_roots_ = std::move(on_roots);
}

void Authority::tell_roots() {
  if (on_roots_) on_roots_(roots_pem_locked());
}

absl::Status Authority::begin_rotation() {
  const std::lock_guard lock(mutex_);
  if (!options_.certificate_path.empty()) {
    return absl::FailedPreconditionError(
        cat("the signing certificate is given, by --ca-cert ", options_.certificate_path,
            ", and only who made its root can replace it: start weft-control with a --ca-root that has the old and the "
            "new one, then with the new --ca-cert and --ca-key, and once the old certificates have ended without the "
            "old root"));
  }
  if (entries_.size() != 1) return absl::FailedPreconditionError("a rotation is going on already");
  absl::StatusOr<Entry> entry = make_entry(entries_.back().record.id + 1, Stage::kTrusted);
  if (!entry.ok()) return entry.status();
  entries_.push_back(*std::move(entry));
  if (absl::Status status = save(); !status.ok()) {
    entries_.pop_back();
    return status;
  }
  tell_roots();
  return absl::OkStatus();
}

absl::Status Authority::switch_signing() {
  const std::lock_guard lock(mutex_);
  if (!has(Stage::kTrusted)) return absl::FailedPreconditionError("there is no new root that could sign");
  Entry& after = at(Stage::kTrusted);
  Entry& before = at(Stage::kSigning);
  after.record.stage = Stage::kSigning;
  before.record.stage = Stage::kRetiring;
  absl::Status status = save();
  if (!status.ok()) {
    after.record.stage = Stage::kTrusted;
    before.record.stage = Stage::kSigning;
  }
  return status;
}

absl::Status Authority::finish_rotation() {
  const std::lock_guard lock(mutex_);
  if (!has(Stage::kRetiring)) return absl::FailedPreconditionError("there is no old root that could be dropped");
  const auto old = std::find_if(entries_.begin(), entries_.end(),
                                [](const Entry& entry) { return entry.record.stage == Stage::kRetiring; });
  Entry gone = std::move(*old);
  entries_.erase(old);
  if (absl::Status status = save(); !status.ok()) {
    entries_.insert(entries_.begin(), std::move(gone));
    return status;
  }
  tell_roots();
  std::error_code error;
  std::filesystem::remove_all(gone.generation.folder, error);
  if (error) base::log_warning(cat("cannot remove ", gone.generation.folder, ": ", error.message()));
  return absl::OkStatus();
}

absl::StatusOr<Authority::Standing> Authority::standing() const {
  const std::lock_guard lock(mutex_);
  Standing out{.trust_domain = options_.trust_domain,
               .is_given = !options_.certificate_path.empty(),
               .ttl_ms = options_.ttl_ms,
               .generations = {}};
  for (const Entry& entry : entries_) {
    const X509& root = *entry.generation.roots.front();
    const absl::StatusOr<Digest> fingerprint = fingerprint_of(root);
    if (!fingerprint.ok()) return fingerprint.status();
    const absl::StatusOr<int64_t> live = store_->count_live(entry.record.id, clock_.wall_ms());
    if (!live.ok()) return live.status();
    out.generations.push_back({.record = entry.record,
                               .root_sha256 = to_hex(fingerprint->data(), fingerprint->size()),
                               .root_not_after_ms = not_after_ms(root),
                               .chain_not_after_ms = entry.generation.chain_not_after_ms(),
                               .live_certificates = *live});
  }
  return out;
}

absl::StatusOr<std::vector<IssuedRecord>> Authority::issued(const std::string& spiffe_id_or_node, int64_t limit) const {
  const std::lock_guard lock(mutex_);
  return store_->list(spiffe_id_or_node, limit);
}

Authority::Counts Authority::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.chain_not_after_ms = signing().generation.chain_not_after_ms();
  return counts;
}

}  // namespace weft::control::ca
