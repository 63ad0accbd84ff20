#pragma once

// Where objects are kept. Every change of a store makes its next revision; one commit, of any number of objects, is one
// revision, and happens as a whole or not at all. A store is not synchronised: whoever owns it serialises all calls,
// and watchers are called within commit(), on its thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control-plane/source/object.h"

namespace weft::control::source {

// One object's part of a commit.
struct Write {
  Key key;
  // Null deletes.
  Content content;
  // Only if the object's newest revision is this one; 0 means that it must not exist. Unset: whatever there is.
  std::optional<Revision> expected;
  // The content was found valid (registry/validate.h).
  bool is_valid = false;
};

// One object as of one commit.
struct Change {
  Key key;
  Revision revision = 0;
  // Null: deleted.
  Content content;
  // As its writer said. What is read from a disk is not known to be.
  bool is_valid = false;
};

// What is known of a revision as such.
struct Commit {
  Revision revision = 0;
  int64_t time_ms = 0;  // since the epoch
  // Who, and what for, in words: "weftctl apply", "directory /etc/weft".
  std::string author;
  std::vector<Key> keys;
};

// All objects as of one revision.
struct Listing {
  Revision revision = 0;
  std::vector<Object> objects;
};

class Store {
 public:
  // The changes of one commit. Called in the order of revisions, each revision once.
  using Watcher = std::function<void(Revision revision, const std::vector<Change>& changes)>;

  virtual ~Store() = default;

  // NotFound if there is none.
  virtual absl::StatusOr<Object> get(const Key& key) = 0;
  virtual absl::StatusOr<Listing> list() = 0;
  // As it was then. OutOfRange for a revision that is not reached or no longer kept.
  virtual absl::StatusOr<Listing> list_at(Revision revision) = 0;

  // Durable when it returns. Writes that change nothing are left out, and if none is left the revision stays: the
  // newest is returned. The store sets generation, creationTimestamp and resourceVersion in metadata.
  // Aborted: an object is not at its expected revision; NotFound: what is to be deleted does not exist;
  // ResourceExhausted: the disk is full; Unavailable or DataLoss: it failed otherwise. On any error nothing is changed.
  virtual absl::StatusOr<Revision> commit(const std::vector<Write>& writes, int64_t time_ms,
                                          const std::string& author) = 0;

  // What commit() would say of these writes, short of the disk's own errors; nothing is changed.
  virtual absl::Status check(const std::vector<Write>& writes) = 0;

  // Newest first, at most `limit`; with a key only the commits that changed it.
  virtual absl::StatusOr<std::vector<Commit>> history(const std::optional<Key>& key, size_t limit) = 0;

  // Every commit after `from`, those that are past at once, until the returned watch is dropped, which must not outlive
  // the store. OutOfRange as for list_at.
  class Watch {
   public:
    virtual ~Watch() = default;
  };
  virtual absl::StatusOr<std::unique_ptr<Watch>> watch(Revision from, Watcher watcher) = 0;
};

}  // namespace weft::control::source
