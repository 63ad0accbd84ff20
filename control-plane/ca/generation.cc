#include "control-plane/ca/generation.h"

#include <openssl/err.h>
#include <openssl/objects.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/ca/chain.h"
#include "control-plane/ca/files.h"

namespace weft::control::ca {

using text::cat;

namespace {

constexpr int64_t kMsPerDay = 86'400'000;
constexpr int64_t kRootMs = 3650 * kMsPerDay;
constexpr int64_t kIntermediateMs = 365 * kMsPerDay;
// Clocks differ.
constexpr int64_t kEarlierMs = 3'600'000;
constexpr char kSignsCertificates[] = "critical,keyCertSign,cRLSign";

CertificateDraft draft(const std::string& name, const std::string& constraints, int64_t now_ms, int64_t life_ms,
                       bool has_issuer) {
  CertificateDraft draft{.subject = {{NID_organizationName, "weft"}, {NID_commonName, name}},
                         .not_before_ms = now_ms - kEarlierMs,
                         .not_after_ms = now_ms + life_ms,
                         .extensions = {{NID_basic_constraints, constraints},
                                        {NID_key_usage, kSignsCertificates},
                                        {NID_subject_key_identifier, "hash"}}};
  if (has_issuer) draft.extensions.emplace_back(NID_authority_key_identifier, "keyid:always");
  return draft;
}

absl::Status save(const std::string& folder, const std::string& name, const X509& certificate, const EVP_PKEY& key) {
  const absl::StatusOr<std::string> key_text = to_pem(key);
  if (!key_text.ok()) return key_text.status();
  const absl::StatusOr<std::string> certificate_text = to_pem(certificate);
  if (!certificate_text.ok()) return certificate_text.status();
  if (absl::Status status = write_private_file(cat(folder, "/", name, ".key"), *key_text); !status.ok()) return status;
  return write_private_file(cat(folder, "/", name, ".crt"), *certificate_text);
}

// Names keep two generations' certificates apart for those who build chains by name: the time at which each was made.
std::string name_of(const char* what, const std::string& trust_domain, int64_t now_ms) {
  // X.520 lets a common name have 64 characters.
  constexpr size_t kMaxDomain = 32;
  return cat(std::string(what), " ", trust_domain.substr(0, kMaxDomain), " ", now_ms / 1000);
}

absl::StatusOr<std::pair<Certificate, Key>> load(const std::string& folder, const std::string& name) {
  const std::string certificate_path = cat(folder, "/", name, ".crt");
  const std::string key_path = cat(folder, "/", name, ".key");
  const absl::StatusOr<std::string> certificate_text = read_file(certificate_path);
  if (!certificate_text.ok()) return certificate_text.status();
  const absl::StatusOr<std::string> key_text = read_private_file(key_path);
  if (!key_text.ok()) return key_text.status();
  absl::StatusOr<std::vector<Certificate>> certificates = read_certificates_pem(*certificate_text, certificate_path);
  if (!certificates.ok()) return certificates.status();
  absl::StatusOr<Key> key = read_key_pem(*key_text, key_path);
  if (!key.ok()) return key.status();
  if (X509_check_private_key(certificates->front().get(), key->get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(cat(key_path, ": is not the key of ", certificate_path));
  }
  return std::pair(std::move(certificates->front()), *std::move(key));
}

absl::StatusOr<std::pair<Certificate, Key>> make_intermediate(const std::string& name, X509& root, EVP_PKEY& root_key,
                                                              int64_t now_ms) {
  absl::StatusOr<Key> key = make_key();
  if (!key.ok()) return key.status();
  const int64_t life_ms = std::min(kIntermediateMs, not_after_ms(root) - now_ms);
  absl::StatusOr<Certificate> certificate =
      make_certificate(draft(name, "critical,CA:TRUE,pathlen:0", now_ms, life_ms, true), **key, &root, root_key);
  if (!certificate.ok()) return certificate.status();
  return std::pair(*std::move(certificate), *std::move(key));
}

bool may_sign(X509* certificate) {
  // With what it caches of extensions; -1 is without a word about its use.
  const uint32_t usage = X509_get_key_usage(certificate);
  return X509_check_ca(certificate) == 1 && (usage & KU_KEY_CERT_SIGN) != 0;
}

}  // namespace

int64_t Generation::chain_not_after_ms() const {
  int64_t earliest = not_after_ms(*roots.front());
  for (const Certificate& each : intermediates) earliest = std::min(earliest, not_after_ms(*each));
  return earliest;
}

absl::StatusOr<Generation> make_generation(const std::string& folder, const std::string& trust_domain, int64_t now_ms) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  if (error) return absl::UnavailableError(cat("cannot make ", folder, ": ", error.message()));
  const absl::StatusOr<Key> root_key = make_key();
  if (!root_key.ok()) return root_key.status();
  absl::StatusOr<Certificate> root = make_certificate(
      draft(name_of("weft root", trust_domain, now_ms), "critical,CA:TRUE,pathlen:1", now_ms, kRootMs, false),
      **root_key, nullptr, **root_key);
  if (!root.ok()) return root.status();
  auto intermediate = make_intermediate(name_of("weft intermediate", trust_domain, now_ms), **root, **root_key, now_ms);
  if (!intermediate.ok()) return intermediate.status();
  if (absl::Status status = save(folder, "root", **root, **root_key); !status.ok()) return status;
  if (absl::Status status = save(folder, "intermediate", *intermediate->first, *intermediate->second); !status.ok()) {
    return status;
  }
  Generation generation;
  generation.roots.push_back(*std::move(root));
  generation.intermediates.push_back(std::move(intermediate->first));
  generation.signing_key = std::move(intermediate->second);
  generation.folder = folder;
  return generation;
}

absl::StatusOr<Generation> load_generation(const std::string& folder) {
  // The root's key is read to see that it is there and its owner's; it is not kept.
  auto root = load(folder, "root");
  if (!root.ok()) return root.status();
  auto intermediate = load(folder, "intermediate");
  if (!intermediate.ok()) return intermediate.status();
  Generation generation;
  generation.roots.push_back(std::move(root->first));
  generation.intermediates.push_back(std::move(intermediate->first));
  generation.signing_key = std::move(intermediate->second);
  generation.folder = folder;
  return generation;
}

absl::StatusOr<bool> renew_intermediate(Generation& generation, int64_t now_ms) {
  if (generation.folder.empty()) return false;
  const X509& old = *generation.intermediates.front();
  const bool is_young = now_ms < (not_before_ms(old) + not_after_ms(old)) / 2;
  // One that ends with its root is as good as any other.
  const bool is_capped = not_after_ms(old) + kMsPerDay >= not_after_ms(*generation.roots.front());
  if (is_young || is_capped) return false;
  auto root = load(generation.folder, "root");
  if (!root.ok()) return root.status();
  auto made = make_intermediate(subject_part(old, NID_commonName), *root->first, *root->second, now_ms);
  if (!made.ok()) return made.status();
  absl::Status saved = save(generation.folder, "intermediate", *made->first, *made->second);
  if (!saved.ok()) return saved;
  generation.intermediates.front() = std::move(made->first);
  generation.signing_key = std::move(made->second);
  return true;
}

absl::StatusOr<Generation> read_given_generation(const std::string& certificate_path, const std::string& key_path,
                                                 const std::string& root_path, int64_t now_ms) {
  const absl::StatusOr<std::string> certificate_text = read_file(certificate_path);
  if (!certificate_text.ok()) return certificate_text.status();
  const absl::StatusOr<std::string> key_text = read_private_file(key_path);
  if (!key_text.ok()) return key_text.status();
  auto chain = read_certificates_pem(*certificate_text, certificate_path);
  if (!chain.ok()) return chain.status();
  auto key = read_key_pem(*key_text, key_path);
  if (!key.ok()) return key.status();
  X509* const issuer = chain->front().get();
  if (X509_check_private_key(issuer, key->get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(cat(key_path, ": is not the key of ", certificate_path));
  }
  if (!may_sign(issuer)) {
    return absl::InvalidArgumentError(cat(certificate_path,
                                          ": its first certificate may not sign others; expected one "
                                          "with basicConstraints CA:TRUE and keyUsage keyCertSign"));
  }
  std::vector<Certificate> roots;
  if (!root_path.empty()) {
    const absl::StatusOr<std::string> root_text = read_file(root_path);
    if (!root_text.ok()) return root_text.status();
    auto read = read_certificates_pem(*root_text, root_path);
    if (!read.ok()) return read.status();
    roots = *std::move(read);
  } else if (X509_self_signed(chain->back().get(), 1) == 1) {
    X509_up_ref(chain->back().get());
    roots.emplace_back(chain->back().get());
  } else {
    return absl::InvalidArgumentError(
        cat(certificate_path, ": does not end with a root, a certificate signed by itself; name it by --ca-root"));
  }
  Anchors anchors;
  for (const Certificate& each : roots) anchors.roots.push_back(each.get());
  for (const Certificate& each : *chain) anchors.intermediates.push_back(each.get());
  absl::StatusOr<std::vector<Certificate>> path = build_chain(*issuer, anchors, X509_PURPOSE_ANY, now_ms);
  if (!path.ok()) {
    return absl::InvalidArgumentError(cat(certificate_path, ": its first certificate does not hang from the root in ",
                                          root_path.empty() ? "it" : root_path, ": ",
                                          std::string(path.status().message())));
  }
  Generation generation;
  generation.roots.push_back(std::move(path->back()));
  path->pop_back();
  generation.intermediates = *std::move(path);
  for (Certificate& each : roots) {
    if (X509_cmp(each.get(), generation.roots.front().get()) != 0) generation.roots.push_back(std::move(each));
  }
  generation.signing_key = *std::move(key);
  return generation;
}

}  // namespace weft::control::ca
