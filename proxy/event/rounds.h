#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "proxy/event/loop.h"

// Rounds through other loops, by which the home loop learns that they have done what was posted to them. A round costs
// one post() to each of them and one back. Owned by, and used on the thread of, the home loop, which must outlive the
// threads of the others.

namespace weft::event {

class Rounds {
 public:
  // All of them outlive it.
  Rounds(Loop& home, std::vector<Loop*> others) : home_(home), others_(std::move(others)) {}
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  // Calls `done` in a later turn of the home loop, once every other loop has done all that this thread had posted to it
  // before. A loop that does not run yet has done it when it does; after one that has ended, and after this object,
  // there is no call. Rounds end in the order in which they began.
  void start(std::function<void()> done);

 private:
  Loop& home_;
  const std::vector<Loop*> others_;
  // Of the home thread alone, but for who holds it weakly.
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace weft::event
