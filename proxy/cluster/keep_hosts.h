#pragma once

#include <vector>

#include "proxy/cluster/host.h"

// A cluster's endpoints are told anew: those that were there before stay the same objects, so that they keep their
// health, their load and their connections. Main thread.

namespace weft::cluster {

// Puts hosts of `before` in the place of those of `now` that have the same address, host name and criteria of
// transport, with their new weight and configured health. False if then nothing differs from `before`.
bool keep_known_hosts(const HostSet& before, std::vector<std::vector<HostPtr>>& now);

}  // namespace weft::cluster
