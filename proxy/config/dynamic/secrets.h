#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/base/callback.h"
#include "proxy/config/compile/shared_parts.h"
#include "proxy/config/dynamic/inventory.h"
#include "proxy/config/dynamic/ledger.h"
#include "proxy/config/dynamic/listener_needs.h"
#include "proxy/config/dynamic/sources.h"
#include "proxy/transport/secret_use.h"

// The secrets that come and change while the process runs (SDS), and the watched files of those that the configuration
// names itself. Each is there as long as a cluster or listener needs it. A change is tried in every TLS context that is
// made of it, and then in force in all of them or in none. Main thread.

namespace weft::config {

class Secrets final : public ListenerNeeds {
 public:
  // The file system, as far as it is needed.
  struct Files {
    // Errors name the path.
    std::function<absl::StatusOr<std::string>(const std::string& path)> read;
    // As FileWatch::watch() and unwatch().
    std::function<absl::StatusOr<uint64_t>(const std::string& directory, const std::string& name,
                                           base::Callback<void()> changed)>
        watch;
    std::function<void(uint64_t id)> unwatch;
  };
  Secrets(SharedParts& parts, event::Loop& loop, Sources& sources, Files files);
  ~Secrets();
  Secrets(const Secrets&) = delete;
  Secrets& operator=(const Secrets&) = delete;

  // The process makes the secret itself that the aggregated source has under this name: it comes by give() and the
  // source is not asked. Before anything is needed.
  void make_own(std::string name) { own_name_ = std::move(name); }
  // The own secret, serialised, for all who need it now or later; without it they wait for kOwnTimeoutMs. An error says
  // what is wrong with it, or whom it does not fit; what was in force stays.
  absl::Status give(const std::string& secret);
  static constexpr int64_t kOwnTimeoutMs = 15'000;

  // Of a listener, the secrets of its filter chains; their changes are counted as the listener's.
  std::unique_ptr<ListenerNeed> need(const snapshot::Listener& listener, std::function<void()> on_settled) override;

  class Need;
  class Entry;
  using Uses = std::vector<std::shared_ptr<transport::SecretUse>>;
  // Asks for what the contexts are made of, as long as the need lives. Unless it is settled at once, `settled` is
  // called when every secret is there or did not come in time, once. `changed` is called whenever one of the contexts
  // was replaced because a secret changed. Both may destroy the need. `who`: for error texts, "cluster \"x\"".
  std::unique_ptr<Need> need(std::string who, Uses uses, std::function<void()> settled, std::function<void()> changed);

  std::vector<xds::Refusal> on_update(const std::string& source, const xds::Update& update);
  void on_fetch_timeout(const std::string& source, const std::vector<std::string>& names);

  const std::map<transport::SecretName, std::unique_ptr<Entry>>& entries() const { return entries_; }
  std::vector<const observe::FamilyBase*> families() const;
  // As Clusters; of secrets that have a source.
  void watch(ResourceWatcher* watcher) { watcher_ = watcher; }
  ResourceState state(const ResourceKey& key) const;
  void visit(const std::function<void(const ResourceKey& key)>& each) const;

 private:
  Entry& want(const transport::SecretName& name, Need& need);
  bool is_own(const transport::SecretName& name) const;
  void hold_own(Entry& entry) const;
  void on_own_timeout();
  void unwant(const transport::SecretName& name, Need& need);
  // Puts the text in force, in every context of which all secrets are there; or says why not.
  std::string apply(Entry& entry, transport::SecretText text);
  absl::StatusOr<transport::SecretText> with_files(std::string secret) const;
  void read_changed_files();
  void watch_files(Entry& entry);
  void unwatch_files(Entry& entry);
  void settle(const std::set<Need*>& needs);
  void note(const transport::SecretName& name);

  SharedParts& parts_;
  event::Loop& loop_;
  Sources& sources_;
  Files files_;
  ResourceWatcher* watcher_ = nullptr;
  std::map<transport::SecretName, std::unique_ptr<Entry>> entries_;
  std::set<Need*> needs_;
  std::string own_name_;                      // Empty: there is none.
  std::optional<transport::SecretText> own_;  // The newest that was given.
  event::Timer own_timer_;
  std::set<Entry*> files_changed_;
  event::Timer files_timer_;  // Several changes at once are one.
};

// One secret.
class Secrets::Entry {
 public:
  Entry(Secrets& owner, const transport::SecretName& name);

  const transport::SecretName& name() const { return name_; }
  // As the source gave it; nothing until one was taken.
  const std::optional<Held>& held() const { return held_; }
  const RefusedResource* refused() const { return refused_.get(); }
  const observe::FamilyBase* family() const { return stats_.get(); }

 private:
  friend class Secrets;
  friend class Need;
  observe::SecretStats& stats() { return stats_->of_worker(0); }
  bool settled() const { return text_.has_value() || timed_out_; }
  void on_file_changed();

  Secrets& owner_;
  const transport::SecretName name_;
  std::shared_ptr<observe::Family<observe::SecretStats>> stats_;
  std::optional<Held> held_;
  std::optional<transport::SecretText> text_;  // In force.
  std::unique_ptr<RefusedResource> refused_;
  std::multiset<Need*> needs_;
  std::vector<uint64_t> watches_;
  bool timed_out_ = false;
};

class Secrets::Need final : public ListenerNeed {
 public:
  ~Need() override;
  bool settled() const override;

 private:
  friend class Secrets;
  Need(Secrets& owner, std::string who) : owner_(owner), who_(std::move(who)) {}
  // The texts of a context's secrets, in their order, one of them perhaps another than is in force; empty when one is
  // missing.
  std::vector<const transport::SecretText*> texts(const transport::SecretUse& use, const Entry* changing = nullptr,
                                                  const transport::SecretText* text = nullptr) const;

  Secrets& owner_;
  const std::string who_;
  Uses uses_;
  std::function<void()> settled_;
  std::function<void()> changed_;
};

}  // namespace weft::config
