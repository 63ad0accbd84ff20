#include "control-plane/ca/server_certificate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace weft::control::ca {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

struct Folder {
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("weft-certificate-" + std::to_string(getpid()));
};

TEST_CASE("a certificate is made once, and its key is its owner's") {
  Folder folder;
  const auto made = load_or_make_certificate(folder.path, {"10.0.0.1", "mesh.example", "not a name"}, kNowMs);
  INFO(made.status().message());
  REQUIRE(made.ok());
  const auto again = load_or_make_certificate(folder.path, {}, kNowMs);
  REQUIRE(again.ok());
  CHECK(again->fingerprint == made->fingerprint);
  CHECK(again->key_pem == made->key_pem);
  struct stat status;
  REQUIRE(stat((folder.path / "xds.key").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("files that are no certificate and key, or not of each other, are refused by name") {
  Folder folder;
  const std::string one = folder.path / "one";
  const std::string two = folder.path / "two";
  for (const std::string& each : {one, two}) {
    std::filesystem::create_directories(each);
    REQUIRE(load_or_make_certificate(each, {}, kNowMs).ok());
  }
  const auto mistake = [](const std::string& certificate, const std::string& key) {
    return std::string(load_certificate(certificate, key).status().message());
  };
  CHECK(mistake(one + "/xds.crt", one + "/xds.key").empty());
  CHECK_THAT(mistake(one + "/xds.crt", two + "/xds.key"), Catch::Contains("two/xds.key: is not the key of "));
  CHECK_THAT(mistake(one + "/none", one + "/xds.key"), Catch::Contains("one/none: cannot be read"));
  CHECK_THAT(mistake(one + "/xds.key", one + "/xds.key"), Catch::Contains("xds.key: expected a certificate in PEM"));
  CHECK_THAT(mistake(one + "/xds.crt", one + "/xds.crt"), Catch::Contains("xds.crt: expected a private key in PEM"));
}

}  // namespace
}  // namespace weft::control::ca
