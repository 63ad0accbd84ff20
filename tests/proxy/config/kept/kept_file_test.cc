#include "proxy/config/kept/kept_file.h"

#include <sys/stat.h>

#include <fstream>

#include "tests/proxy/config/kept/folder.h"

namespace weft::config {
namespace {

v1::KeptResources some() {
  v1::KeptResources kept;
  kept.set_node_id("n");
  kept.set_version("7");
  auto* resource = kept.add_resources();
  resource->set_name("a");
  resource->mutable_body()->set_value(std::string(300, 'x'));
  return kept;
}

}  // namespace

TEST_CASE("what was written is read again") {
  auto read = decode_kept(encode_kept(some()));
  REQUIRE(read.ok());
  CHECK(read->SerializeAsString() == some().SerializeAsString());
  CHECK(decode_kept(encode_kept({})).ok());
}

TEST_CASE("a file that was cut off, grown or changed anywhere is refused") {
  const std::string good = encode_kept(some());
  for (size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode_kept(good.substr(0, size)).ok());
  }
  CHECK_FALSE(decode_kept(good + "x").ok());
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      CAPTURE(at, bit);
      CHECK_FALSE(decode_kept(bad).ok());
    }
  }
  CHECK(decode_kept(good.substr(0, 100)).status().message().find("is cut off or has grown") == 0);
  CHECK(decode_kept("version_info: 1").status().message().find("is no file of kept configuration") == 0);
}

TEST_CASE("a file is its owner's alone, and takes the old one's place") {
  Folder folder;
  std::string path = folder.path + "/a.kept";
  CHECK(absl::IsNotFound(read_kept_file(path).status()));
  umask(0);
  REQUIRE(write_kept_file(path, "first").ok());
  REQUIRE(write_kept_file(path, "second").ok());
  CHECK(*read_kept_file(path) == "second");
  CHECK(folder.files() == 1);
  struct stat stat;
  REQUIRE(::stat(path.c_str(), &stat) == 0);
  CHECK((stat.st_mode & 0777) == 0600);
}

TEST_CASE("a file or a directory that others may write is not trusted") {
  Folder folder;
  std::string path = folder.path + "/a.kept";
  REQUIRE(write_kept_file(path, "bytes").ok());
  chmod(path.c_str(), 0666);
  CHECK(absl::IsPermissionDenied(read_kept_file(path).status()));
  std::filesystem::create_symlink("/etc/passwd", folder.path + "/link.kept");
  CHECK_FALSE(read_kept_file(folder.path + "/link.kept").ok());
  CHECK(make_kept_directory(folder.path).ok());
  chmod(folder.path.c_str(), 0777);
  CHECK(absl::IsPermissionDenied(make_kept_directory(folder.path)));
  CHECK(make_kept_directory(folder.path + "/fresh").ok());
  struct stat stat;
  REQUIRE(::stat((folder.path + "/fresh").c_str(), &stat) == 0);
  CHECK((stat.st_mode & 0777) == 0700);
  CHECK_FALSE(make_kept_directory(path).ok());
  CHECK_FALSE(write_kept_file(folder.path + "/none/a.kept", "x").ok());
}

}  // namespace weft::config
