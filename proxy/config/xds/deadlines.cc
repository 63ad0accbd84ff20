#include "proxy/config/xds/deadlines.h"

#include <algorithm>

namespace weft::config::xds {

Deadlines::Deadlines(event::Loop& loop, base::Callback<void(std::vector<Key>)> on_due)
    : loop_(loop), on_due_(on_due), timer_(loop.timers(), base::bind<&Deadlines::fire>(this)) {}

void Deadlines::start(const Key& key, int64_t delay_ms) {
  stop(key);
  int64_t at_ms = loop_.now_ms() + delay_ms;
  by_key_[key] = at_ms;
  by_time_.emplace(at_ms, key);
  arm();
}

void Deadlines::stop(const Key& key) {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  by_time_.erase({found->second, key});
  by_key_.erase(found);
}

// The timer may stand earlier than anything is due: then it finds nothing and is armed anew.
void Deadlines::arm() {
  if (by_time_.empty()) return timer_.disarm();
  int64_t delay_ms = std::max<int64_t>(by_time_.begin()->first - loop_.now_ms(), 0);
  if (!timer_.armed() || timer_.deadline_ms() > by_time_.begin()->first) timer_.arm(delay_ms);
}

void Deadlines::fire() {
  std::vector<Key> due;
  while (!by_time_.empty() && by_time_.begin()->first <= loop_.now_ms()) {
    due.push_back(by_time_.begin()->second);
    by_key_.erase(due.back());
    by_time_.erase(by_time_.begin());
  }
  arm();
  std::sort(due.begin(), due.end());
  if (!due.empty()) on_due_(std::move(due));
}

}  // namespace weft::config::xds
