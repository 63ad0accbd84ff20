#pragma once

#include <string>

#include "proxy/intercept/rules.h"

// The rules as a script for `nft -f -`, which takes it as one transaction: a table `weft` of family inet in place of
// the one that was there, so that either all of it is in force or what was before. Pure; any thread.

namespace weft::intercept {

std::string nft_script(const Rules& rules);
// Takes the table away, whether or not it is there.
std::string nft_clean_script();

}  // namespace weft::intercept
