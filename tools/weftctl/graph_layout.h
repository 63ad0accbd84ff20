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
  // By edge: the places that are kept free for it in the layers between its ends.
  std::vector<std::vector<Place>> ways;
  // How many places each layer has, those that are kept free with them.
  std::vector<size_t> layer_sizes;
  size_t layers() const { return layer_sizes.size(); }
  // Of the fullest layer.
  size_t rows = 0;
};

// `edges`: from and to, both below `nodes`; loops and repeated edges are allowed.
GraphLayout lay_out(size_t nodes, const std::vector<std::pair<size_t, size_t>>& edges);

}  // namespace weft::weftctl
