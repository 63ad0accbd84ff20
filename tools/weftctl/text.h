#pragma once

// What weftctl prints: tables, and the lines in which two texts differ. Pure.

#include <string>
#include <string_view>
#include <vector>

namespace weft::weftctl {

// Columns as wide as they need, two spaces between; the first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

// The lines that are different, "-" before and "+" after, with three lines of what is the same around them; empty if
// the texts are equal.
std::string difference(std::string_view before, std::string_view after);

}  // namespace weft::weftctl
