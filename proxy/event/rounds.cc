#include "proxy/event/rounds.h"

#include <atomic>
#include <utility>

namespace weft::event {
namespace {

struct Round {
  Loop& home;
  const std::weak_ptr<const bool> owner;
  const std::function<void()> done;
  std::atomic<size_t> outstanding;
};

void end(const std::shared_ptr<Round>& round) {
  round->home.post([round] {
    if (!round->owner.expired()) round->done();
  });
}

}  // namespace

void Rounds::start(std::function<void()> done) {
  std::shared_ptr<Round> round(new Round{home_, alive_, std::move(done), {others_.size()}});
  if (others_.empty()) return end(round);
  for (Loop* loop : others_) {
    loop->post([round] {
      if (round->outstanding.fetch_sub(1, std::memory_order_acq_rel) == 1) end(round);
    });
  }
}

}  // namespace weft::event
