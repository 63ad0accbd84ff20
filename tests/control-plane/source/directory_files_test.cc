#include "control-plane/source/directory/files.h"

#include <catch2/catch.hpp>
#include <string>

#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source::directory {
namespace {

std::string service(const std::string& name, int port = 80) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         ", namespace: shop}\nspec: {ports: [{port: " + std::to_string(port) + "}]}\n";
}

Key key(const std::string& name) { return {Kind::kService, "shop", name}; }

// Files as a scan shows them, and the other source's objects.
class Fixture {
 public:
  Fixture()
      : files_([](const Draft& draft) {
          return draft.key.name == "wrong"
                     ? absl::InvalidArgumentError(draft.positions().locate("metadata") + ": wrong")
                     : absl::OkStatus();
        }) {}

  void write(const std::string& path, const std::string& text) {
    texts_[path] = text;
    changed_.push_back({path, text, ""});
  }
  void remove(const std::string& path) { texts_.erase(path); }
  void fail(const std::string& path) {
    texts_[path] = "";
    changed_.push_back({path, "", "Permission denied"});
  }

  // What becomes of a scan: "+name" written, "-name" deleted, in order.
  std::string settle(bool succeeds = true) {
    Scan scan{std::exchange(changed_, {}), {}, {}};
    for (const auto& [path, text] : texts_) scan.present.push_back(path);
    files_.update(scan);
    const Plan plan = files_.settle([this](const Key& key) { return key.name == in_store_ ? "in the database" : ""; });
    if (succeeds) files_.confirm();
    author_ = plan.author;
    std::string out;
    for (const Write& write : plan.writes) out += (write.content == nullptr ? " -" : " +") + write.key.name;
    return out;
  }
  std::string refusals() const {
    std::string out;
    for (const Refusal& refusal : files_.refusals()) out += refusal.reason + "\n";
    return out;
  }

  Files files_;
  std::string in_store_;
  std::string author_;

 private:
  std::map<std::string, std::string> texts_;
  std::vector<File> changed_;
};

TEST_CASE("a file's objects come, change and go with it, and say where they are from") {
  Fixture f;
  f.write("/d/a.yaml", service("cart") + "---\n" + service("pay"));
  CHECK(f.settle() == " +cart +pay");
  CHECK(f.author_ == "file /d/a.yaml:1");
  CHECK(f.files_.origin(key("cart")) == "/d/a.yaml:1");
  CHECK(f.files_.origin(key("pay")) == "/d/a.yaml:6");
  CHECK(f.files_.origin(key("stock")).empty());
  CHECK(f.settle().empty());
  f.write("/d/a.yaml", "# moved down\n" + service("cart"));
  CHECK(f.settle() == " -pay");
  CHECK(f.files_.origin(key("cart")) == "/d/a.yaml:2");
  f.write("/d/a.yaml", service("cart", 81));
  CHECK(f.settle() == " +cart");
  f.remove("/d/a.yaml");
  CHECK(f.settle() == " -cart");
  CHECK(f.files_.size() == 0);
}

TEST_CASE("a bad file is refused with its places, and what it last said that was good stays") {
  Fixture f;
  f.write("/d/a.yaml", service("cart"));
  f.settle();
  f.write("/d/a.yaml", service("pay") + "---\n" + service("wrong"));
  CHECK(f.settle().empty());
  CHECK(f.refusals() == "/d/a.yaml:8:1: metadata: wrong\n");
  f.write("/d/a.yaml", "kind: [");
  CHECK(f.settle().empty());
  CHECK(f.refusals().starts_with("/d/a.yaml:1:"));
  f.fail("/d/a.yaml");
  CHECK(f.settle().empty());
  CHECK(f.refusals() == "/d/a.yaml: cannot be read: Permission denied\n");
  CHECK_FALSE(f.files_.origin(key("cart")).empty());
  f.write("/d/a.yaml", service("pay"));
  CHECK(f.settle() == " +pay -cart");
  CHECK(f.refusals().empty());
}

TEST_CASE("of two files with one object the one that has it is right, or the first by name") {
  Fixture f;
  f.write("/d/b.yaml", service("cart"));
  f.settle();
  f.write("/d/a.yaml", service("cart", 81) + "---\n" + service("pay"));
  CHECK(f.settle().empty());
  CHECK(f.refusals() ==
        "/d/a.yaml:1: Service shop/cart is in /d/b.yaml:1 already; take it out of one of the two files\n");
  f.remove("/d/b.yaml");
  CHECK(f.settle() == " +cart +pay");
  CHECK(f.refusals().empty());

  f.write("/d/y.yaml", service("stock"));
  f.write("/d/x.yaml", service("stock", 90));
  CHECK(f.settle() == " +stock");
  CHECK(f.files_.origin(key("stock")) == "/d/x.yaml:1");
}

TEST_CASE("an object moves from one file to another in one change") {
  Fixture f;
  f.write("/d/a.yaml", service("cart") + "---\n" + service("pay"));
  f.write("/d/b.yaml", service("stock"));
  f.settle();
  f.write("/d/a.yaml", service("pay"));
  f.write("/d/b.yaml", service("stock") + "---\n" + service("cart"));
  CHECK(f.settle() == " +cart");
  CHECK(f.files_.origin(key("cart")) == "/d/b.yaml:6");
  CHECK(f.refusals().empty());
  // Not while the file that it leaves is bad.
  f.write("/d/b.yaml", service("wrong"));
  f.write("/d/c.yaml", service("cart"));
  CHECK(f.settle().empty());
  CHECK(f.refusals().find("/d/c.yaml:1: Service shop/cart is in /d/b.yaml:6 already") != std::string::npos);
}

TEST_CASE("an object of the other source refuses the file until it is gone from there") {
  Fixture f;
  f.in_store_ = "cart";
  f.write("/d/a.yaml", service("cart") + "---\n" + service("pay"));
  f.write("/d/b.yaml", service("pay", 90));
  CHECK(f.settle() == " +pay");
  CHECK(f.files_.origin(key("pay")) == "/d/b.yaml:1");
  CHECK(f.refusals() == "/d/a.yaml:1: Service shop/cart is in the database\n");
  f.in_store_ = "";
  f.remove("/d/b.yaml");
  CHECK(f.settle() == " +cart +pay");
}

TEST_CASE("what could not be written is wanted again") {
  Fixture f;
  f.write("/d/a.yaml", service("cart"));
  CHECK(f.settle(false) == " +cart");
  CHECK(f.files_.origin(key("cart")).empty());
  CHECK(f.settle() == " +cart");
  CHECK(f.settle().empty());
}

TEST_CASE("what an earlier run left is the files', and goes with those that are gone") {
  const auto kept = [](const std::string& name, const std::string& path) {
    auto drafts = read_documents(service(name), path);
    REQUIRE(drafts.ok());
    set_origin(path, drafts->front().content.get());
    mutable_metadata_of(drafts->front().content.get())->set_resource_version("7");
    return Object{drafts->front().key, 7, drafts->front().content};
  };
  Fixture f;
  f.files_.adopt(kept("cart", "/d/a.yaml"));
  f.files_.adopt(kept("pay", "/d/gone.yaml"));
  f.files_.adopt(kept("stock", "/d/bad.yaml"));
  f.in_store_ = "cart";
  f.write("/d/a.yaml", service("cart"));
  f.write("/d/bad.yaml", "kind: [");
  CHECK(f.settle() == " -pay");
  CHECK(f.author_ == "file /d/gone.yaml");
  CHECK(f.files_.origin(key("cart")) == "/d/a.yaml:1");
  CHECK(f.files_.origin(key("stock")) == "/d/bad.yaml");
}

}  // namespace
}  // namespace weft::control::source::directory
