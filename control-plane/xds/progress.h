#pragma once

// One session and the pushes that concern it: which it has acknowledged, applied or refused. Also what its node reports
// that it runs, where it does. Pure. Belongs to its session in the hub.

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control-plane/xds/applied.h"
#include "control-plane/xds/rollouts.h"
#include "control-plane/xds/stream.h"

namespace weft::control::xds {

class Progress {
 public:
  // How it is known what the node runs.
  enum class Source : uint8_t {
    // It does not say; what it acknowledges counts.
    kAcknowledgement,
    // It will say, and has not yet said all.
    kAwaited,
    kReport,
  };

  // The session has just come, and loads what there is. `rollouts` outlives it.
  Progress(SessionId id, std::string node, Rollouts& rollouts) : id_(id), node_(std::move(node)), rollouts_(rollouts) {
    rollouts_.begin_load(id_);
  }

  Source source() const { return source_; }
  const Applied& applied() const { return applied_; }
  // It has run what there was when it came.
  bool is_started() const { return is_started_; }
  // It runs some version of this: by its report, if that tells of the type, else by what it acknowledged. Not before a
  // report that is awaited has told everything.
  bool runs(Type type, const std::string& name, const Stream& stream) const;
  // Of all that it was to run by then, the newest commit that it runs; 0 if it has not come so far.
  Revision applied_revision() const;

  // It holds something from before it came.
  void came_back() { rollouts_.came_back(id_); }
  // It is sent something of this push.
  void concern(Epoch epoch, bool is_late);
  // What it acknowledged changed what it holds.
  void on_held(Type type, const std::string& name, uint64_t before, uint64_t version, const Stream& stream);
  // It refuses something of the last response of this type.
  void on_refused(Type type, const std::string& reason, const Stream& stream);

  // The node will report of what it runs, on a stream that begins with everything; or that stream is gone.
  void await_report();
  // Of which types the report tells.
  void begin_report(std::set<Type> types);
  void on_report(Type type, const std::string& name, Reported reported, const Stream& stream);
  // With this, the report has told everything.
  void complete_report(const Stream& stream);

  // Tells the rollouts what has become true.
  void advance(const Stream& stream, int64_t now_ms);
  // The session is gone. The pushes that it still owed.
  std::vector<Epoch> close();

 private:
  struct Waiting {
    Epoch epoch = 0;
    bool is_acknowledged = false;
    // The last reason.
    std::string refusal;
  };
  using Told = absl::flat_hash_map<Applied::Key, Reported>;

  bool tells_of(Type type) const { return source_ == Source::kReport && types_.contains(type); }
  Epoch applied_through(const Stream& stream, Epoch acknowledged);

  const SessionId id_;
  const std::string node_;
  Rollouts& rollouts_;
  Source source_ = Source::kAcknowledgement;
  std::set<Type> types_;
  Applied applied_;
  // Until a report is complete, what it has told.
  std::unique_ptr<Told> told_;
  // The oldest first; acknowledged ones before others.
  std::deque<Waiting> waiting_;
  bool is_started_ = false;
};

// What one session's node runs. For as long as a call.
class Running {
 public:
  Running(const Progress& progress, const Stream& stream) : progress_(progress), stream_(stream) {}
  bool has(Type type, const std::string& name) const { return progress_.runs(type, name, stream_); }
  // It acknowledged it, and is yet to report.
  bool may_have(Type type, const std::string& name) const {
    return progress_.source() == Progress::Source::kAwaited && stream_.subscription(type).holds(name);
  }

 private:
  const Progress& progress_;
  const Stream& stream_;
};

}  // namespace weft::control::xds
