#pragma once

// From a commit to the proxies that run it: which pushes brought it, which sessions each of these concerned, and what
// became of it there. Pure: time is told. Belongs to the hub.
//
// A push brings all that changed since the one before, so commits that went out together are told of together; what a
// session has acknowledged or applied is known by the number of the push, its epoch. All costs are those of the
// sessions that a push concerns.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "control-plane/xds/histogram.h"

namespace weft::control::xds {

using Revision = uint64_t;
using Epoch = uint64_t;
using SessionId = uint64_t;

// Which commits a push brings: of those in `touched` something, and of those in `finished` the last of it.
struct Brought {
  std::vector<Revision> touched;
  std::vector<Revision> finished;
};

// What one session made of a push.
struct Verdict {
  SessionId session = 0;
  std::string node;
  // Empty: it runs it.
  std::string refusal;
  // It does not tell what it runs, and has acknowledged it.
  bool is_acknowledged_only = false;
};

// A session and the push that it has neither applied nor refused.
struct Owing {
  SessionId session = 0;
  Epoch epoch = 0;

  bool operator==(const Owing&) const = default;
};

// Of one commit.
struct Rollout {
  Revision revision = 0;
  // All of it has been pushed.
  bool pushed = false;
  // Sessions that it concerns, but for those that are gone. Those that load it are among them while they do.
  size_t concerned = 0;
  size_t acknowledged = 0;
  // Those that run it, or acknowledged it and do not tell what they run.
  size_t applied = 0;
  // Of these, those that do not tell.
  size_t acknowledged_only = 0;
  // Those that refused something of it; at most kMaxTold are named.
  size_t refused = 0;
  std::vector<Verdict> refusals;
  // Not applied and not refused; at most kMaxTold.
  std::vector<Owing> pending;

  static constexpr size_t kMaxTold = 100;
  bool is_done() const { return pushed && applied + refused >= concerned; }
};

class Rollouts {
 public:
  // The first time that a revision is told of counts.
  void on_commit(Revision revision, int64_t now_ms);
  // The push that begins now.
  Epoch begin_push(const Brought& brought);
  Epoch epoch() const { return epoch_; }

  // The session is sent something of this push, which it then acknowledges, and applies or refuses; each ends by
  // ended() or gone(), once. `is_late`: it came only after the push, so its time says nothing of it.
  void concern(Epoch epoch, SessionId session, bool is_late);
  void acknowledged(Epoch epoch, SessionId session, int64_t now_ms);
  void ended(Epoch epoch, Verdict verdict, int64_t now_ms);
  void gone(Epoch epoch, SessionId session);
  // A session that comes loads all that was pushed until now, and owes it until end_load(), whichever push brought it.
  void begin_load(SessionId session) { loading_.emplace(session, epoch_); }
  void end_load(SessionId session);
  // It holds something from before it came, and so may run what it did before any push, until it has loaded.
  void came_back(SessionId session);
  // The oldest commit that a push brings; 0 if it brings none.
  Revision oldest_of(Epoch epoch) const;
  // No session owes anything any more of the pushes up to this one, be they of commits or not; nor does one load that
  // came back. Of those that load and came anew, none runs anything older.
  bool is_over(Epoch epoch) const { return back_.empty() && (owed_.empty() || owed_.begin()->first > epoch); }
  // Of all that has been pushed whole, the newest.
  Revision newest_pushed() const { return newest_pushed_; }

  // As it stands. A revision of which nothing is known changed nothing that anybody runs, or did so long ago.
  Rollout of(Revision revision) const;
  // `told` is called soon after each change of what of() says, until unwatch().
  uint64_t watch(Revision revision, std::function<void()> told);
  void unwatch(uint64_t watch);
  // Calls whoever watches what has changed.
  void tell();

  const Histogram& to_acknowledged() const { return to_acknowledged_; }
  const Histogram& to_applied() const { return to_applied_; }
  // Commits that some session has not applied yet.
  size_t open_count() const;

 private:
  struct Member {
    bool is_acknowledged = false;
    bool is_late = false;
  };
  struct Push {
    std::vector<Revision> revisions;
    // When the oldest of its commits was made.
    int64_t committed_ms = 0;
    absl::flat_hash_map<SessionId, Member> pending;
    // How many there were, but for those that are gone.
    size_t concerned = 0;
    size_t acknowledged = 0;
    size_t applied = 0;
    size_t acknowledged_only = 0;
    size_t refused = 0;
    std::vector<Verdict> refusals;
  };
  struct Commit {
    int64_t committed_ms = 0;
    bool pushed = false;
    std::vector<Epoch> pushes{};
  };
  struct Watch {
    Revision revision;
    std::function<void()> told;
  };

  void settle(Epoch epoch);
  void add_loading(const Commit& commit, Rollout& out) const;
  void changed(const Push& push);
  void forget_old();

  Epoch epoch_ = 0;
  Revision newest_pushed_ = 0;
  std::map<Revision, Commit> commits_;
  // Those that bring a commit that is known.
  std::map<Epoch, Push> pushes_;
  // Of every push, how many sessions it still concerns.
  std::map<Epoch, size_t> owed_;
  // With the newest push when they came.
  absl::flat_hash_map<SessionId, Epoch> loading_;
  // Of these, those that came back.
  absl::flat_hash_set<SessionId> back_;
  std::map<uint64_t, Watch> watches_;
  uint64_t last_watch_ = 0;
  absl::flat_hash_set<Revision> changed_;
  Histogram to_acknowledged_;
  Histogram to_applied_;
};

}  // namespace weft::control::xds
