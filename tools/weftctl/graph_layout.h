#pragma once

// Where the nodes of a directed graph stand when it is drawn from left to right in layers: callers before those whom
// they call, as few crossings as a few sweeps find. The same graph is always laid out the same. Pure.

#include <cstddef>
#include <utility>
#include <vector>

namespace weft::weftctl {

struct GraphLayout {
  struct Place {
    size_t layer = 0;
    // From the top, among those of the layer.
    size_t row = 0;
  };
  std::vector<Place> places;  // By node.
  size_t layers = 0;
  // How many nodes the fullest layer has.
  size_t rows = 0;
};

// `edges`: from and to, both below `nodes`; loops and repeated edges are allowed.
GraphLayout lay_out(size_t nodes, const std::vector<std::pair<size_t, size_t>>& edges);

}  // namespace weft::weftctl
