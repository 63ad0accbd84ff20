#pragma once

// A certificate authority in a folder of its own, by a clock that moves only when told, and what applicants send it.

#include <openssl/x509.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "control-plane/ca/authority.h"
#include "control-plane/ca/csr.h"

namespace weft::control::ca {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * kHourMs;

struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "weft-ca-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

inline std::string request_der(EVP_PKEY& key, EVP_PKEY& signer, const EVP_MD* digest = EVP_sha256()) {
  const CertificateRequest request(X509_REQ_new());
  REQUIRE(X509_REQ_set_pubkey(request.get(), &key) == 1);
  REQUIRE(X509_REQ_sign(request.get(), &signer, digest) > 0);
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_REQ(request.get(), &bytes);
  REQUIRE(size > 0);
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

inline Certificate from_der(const std::string& der) {
  const unsigned char* at = reinterpret_cast<const unsigned char*>(der.data());
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  REQUIRE(certificate != nullptr);
  return certificate;
}

struct AuthorityFixture {
  AuthorityFixture() { open(); }

  absl::Status try_open() {
    authority.reset();
    auto store = AuthorityStore::open(folder.path + "/ca.db");
    if (!store.ok()) return store.status();
    const auto bytes = [this](uint8_t* out, size_t size) { std::fill(out, out + size, chance); };
    auto made = Authority::open(options, *std::move(store), clock, bytes);
    if (!made.ok()) return made.status();
    authority = *std::move(made);
    return absl::OkStatus();
  }
  // Or anew, as after a restart.
  void open() {
    const absl::Status opened = try_open();
    INFO(opened.message());
    REQUIRE(opened.ok());
  }

  Authority::Signed sign(const Identity& identity = {"shop", "cart"}, const std::string& origin = "token 1") {
    const auto key = make_key();
    REQUIRE(key.ok());
    auto signed_ = authority->sign(
        {.identity = identity, .node = "one", .peer = "ipv4:1", .origin = origin, .shown = "token"}, **key);
    INFO(signed_.status().message());
    REQUIRE(signed_.ok());
    return *std::move(signed_);
  }
  absl::StatusOr<Authority::Peer> verify(const Authority::Signed& shown) const {
    std::string chain;
    for (size_t i = 1; i < shown.chain_der.size(); ++i) chain += *to_pem(*from_der(shown.chain_der[i]));
    return authority->verify(*to_pem(*from_der(shown.chain_der[0])), chain);
  }
  int root_count() const {
    const auto roots = read_certificates_pem(authority->roots_pem(), "roots");
    return roots.ok() ? static_cast<int>(roots->size()) : 0;
  }

  TemporaryFolder folder;
  base::ManualClock clock;
  uint8_t chance = 0;
  Authority::Options options{.folder = folder.path + "/ca"};
  std::unique_ptr<Authority> authority;
};

}  // namespace weft::control::ca
