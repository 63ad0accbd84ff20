#include "control-plane/source/directory/scan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "control-plane/source/directory/watch.h"

namespace weft::control::source::directory {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLongAfterMs = int64_t{4} << 40;
constexpr int kLimitMs = 20'000;

// A folder of a test's own.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "weft-directory-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name) << text;
  }
  std::string path;
};

bool nothing_is_open(const std::string&) { return false; }

// The names of what a scan read, below the folder: "a.yaml=text".
std::string changed(const Scan& scan, const Folder& folder) {
  std::string out;
  for (const File& file : scan.changed) {
    out += " " + file.path.substr(folder.path.size() + 1) + "=" + (file.problem.empty() ? file.text : file.problem);
  }
  return out;
}

TEST_CASE("documents are read in folders and through links, and only when they changed") {
  const Folder folder;
  folder.write("b.yaml", "1");
  folder.write("deep/er/a.json", "2");
  folder.write("note.txt", "3");
  folder.write(".hidden.yaml", "4");
  folder.write("..data_1/c.yml", "5");
  fs::create_symlink("..data_1/c.yml", folder.path + "/c.yml");
  fs::create_symlink("nowhere", folder.path + "/lost.yaml");
  REQUIRE(mkfifo((folder.path + "/pipe.yaml").c_str(), 0600) == 0);
  Scanner scanner(folder.path);
  auto scan = scanner.scan(kLongAfterMs, nothing_is_open);
  REQUIRE(scan.ok());
  CHECK(changed(*scan, folder) == " b.yaml=1 c.yml=5 deep/er/a.json=2 pipe.yaml=it is no regular file");
  CHECK(scan->folders.size() == 3);
  fs::remove(folder.path + "/pipe.yaml");
  scan = scanner.scan(kLongAfterMs, nothing_is_open);
  REQUIRE(scan.ok());
  CHECK(changed(*scan, folder).empty());
  CHECK(scan->present.size() == 3);

  folder.write("..data_2/c.yml", "5");
  fs::create_symlink("..data_2/c.yml", folder.path + "/.new");
  fs::rename(folder.path + "/.new", folder.path + "/c.yml");
  fs::remove_all(folder.path + "/deep");
  scan = scanner.scan(kLongAfterMs, nothing_is_open);
  REQUIRE(scan.ok());
  CHECK(changed(*scan, folder) == " c.yml=5");
  CHECK(scan->present.size() == 2);
  CHECK(scan->folders.size() == 1);
}

TEST_CASE("a file that was just written is read again, as its time may not tell a change") {
  const Folder folder;
  folder.write("a.yaml", "1");
  Scanner scanner(folder.path);
  for (int i = 0; i < 2; ++i) {
    const auto scan = scanner.scan(0, nothing_is_open);
    REQUIRE(scan.ok());
    CHECK(changed(*scan, folder) == " a.yaml=1");
  }
}

TEST_CASE("a file that someone writes counts as it was") {
  const Folder folder;
  folder.write("a.yaml", "1");
  Scanner scanner(folder.path);
  REQUIRE(scanner.scan(kLongAfterMs, nothing_is_open).ok());
  folder.write("a.yaml", "22");
  folder.write("b.yaml", "3");
  auto scan = scanner.scan(kLongAfterMs, [](const std::string&) { return true; });
  REQUIRE(scan.ok());
  CHECK(scan->changed.empty());
  CHECK(scan->present == std::vector<std::string>{folder.path + "/a.yaml"});
  scan = scanner.scan(kLongAfterMs, nothing_is_open);
  REQUIRE(scan.ok());
  CHECK(changed(*scan, folder) == " a.yaml=22 b.yaml=3");
}

TEST_CASE("a folder that is not there, and links that lead in a circle, are errors") {
  const Folder folder;
  CHECK(absl::IsNotFound(Scanner(folder.path + "/none").scan(0, nothing_is_open).status()));
  fs::create_directory_symlink(folder.path, folder.path + "/again");
  const auto scan = Scanner(folder.path).scan(0, nothing_is_open);
  CHECK(absl::IsResourceExhausted(scan.status()));
}

TEST_CASE("paths become absolute") {
  CHECK(absolute_path("/a/./b/../c/") == "/a/c");
  CHECK(absolute_path("x") == (fs::current_path() / "x").string());
  CHECK(absolute_path("/") == "/");
}

TEST_CASE("changes in the folder, below it and on the way to it are noticed, others are not") {
  const Folder folder;
  folder.write("v1/deep/a.yaml", "1");
  folder.write("v2/b.yaml", "2");
  fs::create_symlink("v1", folder.path + "/now");
  const std::string root = folder.path + "/now";
  const auto watch = Watch::create(root);
  REQUIRE(watch.ok());
  const auto set = [&] { return (*watch)->set_folders(Scanner(root).scan(0, nothing_is_open)->folders); };
  CHECK(*set());
  CHECK_FALSE(*set());
  CHECK_FALSE((*watch)->wait(0));

  folder.write("v1/deep/a.yaml", "2");
  CHECK((*watch)->wait(kLimitMs));
  fs::rename(folder.path + "/v1/deep/a.yaml", folder.path + "/v1/a.yaml");
  CHECK((*watch)->wait(kLimitMs));
  while ((*watch)->wait(0)) {
  }
  folder.write("beside", "3");
  CHECK_FALSE((*watch)->wait(0));
  fs::create_symlink("v2", folder.path + "/.new");
  fs::rename(folder.path + "/.new", root);
  CHECK((*watch)->wait(kLimitMs));
  CHECK(*set());
  while ((*watch)->wait(0)) {
  }
  folder.write("v2/b.yaml", "4");
  CHECK((*watch)->wait(kLimitMs));
}

TEST_CASE("a file is open from its first write until it is closed") {
  const Folder folder;
  folder.write("a.yaml", "1");
  const auto watch = Watch::create(folder.path);
  REQUIRE(watch.ok());
  REQUIRE((*watch)->set_folders({folder.path}).ok());
  {
    std::ofstream out(folder.path + "/a.yaml", std::ios::app);
    out << "2" << std::flush;
    CHECK((*watch)->wait(kLimitMs));
    CHECK((*watch)->is_open(folder.path + "/a.yaml"));
    CHECK_FALSE((*watch)->is_open(folder.path + "/b.yaml"));
  }
  CHECK((*watch)->wait(kLimitMs));
  CHECK_FALSE((*watch)->is_open(folder.path + "/a.yaml"));
}

TEST_CASE("a wait can be ended") {
  const Folder folder;
  const auto watch = Watch::create(folder.path);
  REQUIRE(watch.ok());
  (*watch)->wake();
  CHECK_FALSE((*watch)->wait(kLimitMs));
}

}  // namespace
}  // namespace weft::control::source::directory
