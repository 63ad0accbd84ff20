#pragma once

// What the control plane does for people: changes to the store, and what came of them. Owns the store and the registry;
// safe to call from any thread, one call at a time runs.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control-plane/analyze/analyze.h"
#include "control-plane/base/clock.h"
#include "control-plane/registry/registry.h"
#include "control-plane/server/address_store.h"
#include "control-plane/source/directory/files.h"
#include "control-plane/source/documents.h"
#include "control-plane/source/store.h"

namespace weft::control::server {

// One object of a change, as it was and as it is.
struct Outcome {
  source::Key key;
  // Null: it was not there, or is not any more. The same content twice: unchanged.
  source::Content before;
  source::Content after;
  // Conditions that do not hold.
  std::vector<std::string> warnings;
};

struct Applied {
  source::Revision revision = 0;
  std::vector<Outcome> outcomes;
};

// An object with what became of it.
struct Found {
  source::Object object;
  // The content, with status, and with file and line where it is from a file.
  std::shared_ptr<const google::protobuf::Message> shown;
  // "/etc/weft/cart.yaml:12"; empty if it is from no file.
  std::string origin;
};

// The files of the watched directory.
struct DirectoryStatus {
  size_t files = 0;
  std::vector<source::directory::Refusal> refusals;
  // How often a file was refused since the start.
  uint64_t refusals_total = 0;
};

// Which objects: unset or empty parts take any.
struct Selection {
  std::optional<source::Kind> kind;
  std::string namespace_name;
  std::string name;
};

class Control {
 public:
  // Called with each new model, in order, within the call that made it: it must not call back.
  using OnModel = std::function<void(const registry::ModelPointer& model, const registry::ChangeSet& changes)>;

  // Reads what the stores hold. Without `addresses`, virtual addresses may be others after a restart.
  static absl::StatusOr<std::unique_ptr<Control>> create(std::unique_ptr<source::Store> store, base::Clock* clock,
                                                         std::unique_ptr<AddressStore> addresses = nullptr);

  // Before anything else is called, with the model there is and everything changed.
  void set_on_model(OnModel on_model);

  // All drafts as one commit by `author`. InvalidArgument with a line for each mistake; FailedPrecondition for what is
  // the directory's; else as Store::commit. With
  // `dry_run` nothing is changed, and all that is told is what would come of it.
  absl::StatusOr<Applied> apply(const std::vector<source::Draft>& drafts, bool dry_run, const std::string& author);
  absl::StatusOr<Applied> remove(const std::vector<source::Key>& keys, bool dry_run, const std::string& author);
  // What files of the directory say is left as it is. OutOfRange if there is no such revision.
  absl::StatusOr<Applied> roll_back(source::Revision revision, bool dry_run);

  // What was read of the directory: good files take effect as one commit. The error is the store's own; it says the
  // same when it is tried again by the next call, with whatever scan.
  absl::Status take_files(const source::directory::Scan& scan);
  DirectoryStatus directory_status();

  // A finding with file and line where those are known.
  struct Located {
    analyze::Finding finding;
    source::Revision revision = 0;
    std::string origin;
  };
  struct Analysis {
    source::Revision revision = 0;
    std::vector<Located> findings;
  };
  // Of the mesh, or with drafts what they would bring with them, were they applied. InvalidArgument as for apply().
  absl::StatusOr<Analysis> analyze(const std::vector<source::Draft>& drafts);

  // The newest model, and where an object of it stands ("/etc/weft/cart.yaml:12"; empty if in no file).
  registry::ModelPointer model();
  std::string origin(const source::Key& key);

  // By key. NotFound if a name is given and nothing has it.
  absl::StatusOr<std::vector<Found>> get(const Selection& selection);
  absl::StatusOr<std::vector<source::Commit>> history(const std::optional<source::Key>& key, size_t limit);
  source::Revision revision();

  // What became of workloads that announced themselves.
  void apply_workloads(const std::vector<registry::WorkloadChange>& changes);
  struct FoundWorkload {
    registry::Workload workload;
    // Its service has a port that leads to it.
    bool is_attached = false;
  };
  // By namespace, service and node. An empty namespace or service means any.
  std::vector<FoundWorkload> workloads(const std::string& namespace_name, const std::string& service);

 private:
  Control(std::unique_ptr<source::Store> store, base::Clock* clock, std::unique_ptr<AddressStore> addresses);

  absl::Status start();
  absl::StatusOr<Applied> commit(const std::vector<source::Write>& writes, bool dry_run, const std::string& author);
  // The writes of the drafts. InvalidArgument with a line for each mistake in one of them.
  static absl::StatusOr<std::vector<source::Write>> writes_of(const std::vector<source::Draft>& drafts);
  analyze::Findings findings(const registry::Registry& registry,
                             const std::map<source::Key, source::Object>& objects) const;
  // Why the writes are not for people to make; OK if they are.
  absl::Status check_owners(const std::vector<source::Write>& writes) const;
  absl::Status settle_files();
  void save_addresses();
  void publish(source::Revision revision, const std::vector<source::Change>& changes);

  std::mutex mutex_;
  const std::unique_ptr<source::Store> store_;
  base::Clock* const clock_;
  const std::unique_ptr<AddressStore> addresses_;
  registry::Registry registry_;
  source::directory::Files files_;
  std::vector<source::directory::Refusal> told_refusals_;
  uint64_t refusals_total_ = 0;
  OnModel on_model_;
  std::unique_ptr<source::Store::Watch> watch_;
};

}  // namespace weft::control::server
