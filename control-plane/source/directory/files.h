#pragma once

// The objects of a directory's files: which are in force, which file each is from, and why a file is refused. A file
// takes effect as a whole; while it is refused, what it last said that was good stays in force. Pure. Not synchronised.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "control-plane/source/directory/scan.h"
#include "control-plane/source/documents.h"
#include "control-plane/source/object.h"
#include "control-plane/source/store.h"

namespace weft::control::source::directory {

// A file that is not in force as it stands.
struct Refusal {
  std::string path;
  // One line for each mistake, each beginning with its place: "/etc/weft/cart.yaml:7:3: spec.ports[0].port: …".
  std::string reason;

  bool operator==(const Refusal&) const = default;
};

// What has to be written for the files to be in force, and for whom it is done.
struct Plan {
  std::vector<Write> writes;
  std::string author;
};

class Files {
 public:
  // Whether an object is right in itself.
  using Validate = std::function<absl::Status(const Draft& draft)>;
  // Where an object of another source is, in words; empty if it is in none.
  using Elsewhere = std::function<std::string(const Key& key)>;

  explicit Files(Validate validate) : validate_(std::move(validate)) {}

  // An object that the store holds for a file, as an earlier run left it.
  void adopt(const Object& object);
  void update(const Scan& scan);

  // Decides which files are good, and what that changes. Of two files with one object the one that has it in force, or
  // else the first by name, is right, and the other refused; so is one with an object of another source.
  Plan settle(const Elsewhere& elsewhere);
  // The plan was carried out; without this it was not.
  void confirm();

  std::vector<Refusal> refusals() const;
  size_t size() const { return files_.size(); }

  // "/etc/weft/cart.yaml:12", without the line where that is not known; empty if the object is of no file.
  std::string origin(const Key& key) const;

 private:
  struct Placed {
    Content content;
    int line = 0;
  };
  using Objects = std::map<Key, Placed>;
  struct Entry {
    bool is_present = false;
    // What it says; nothing if that is not good in itself.
    std::optional<Objects> wanted;
    Objects in_force;
    // What is wrong with it in itself, and beside the others.
    std::string mistake;
    std::string conflict;
  };

  void read(const File& file);
  void resolve(const Elsewhere& elsewhere);
  // Refuses the first file that cannot be in force beside those before it and what goes on as it was; false if there
  // is none.
  bool refuse_first(const Elsewhere& elsewhere);
  // What of it will be in force.
  const Objects& next_of(const Entry& entry) const;

  Validate validate_;
  std::map<std::string, Entry> files_;
  // The file that has it in force.
  std::map<Key, std::string> owner_of_;
};

}  // namespace weft::control::source::directory
