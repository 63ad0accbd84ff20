#pragma once

// Ends what a crypto library made, for std::unique_ptr. Pure; any thread.

namespace weft::keys {

template <auto kFree>
struct Freed {
  template <typename Thing>
  void operator()(Thing* thing) const {
    kFree(thing);
  }
};

}  // namespace weft::keys
