#pragma once

// Shell completion. Pure.

#include <string>

namespace weft::weftctl {

// A script for "bash" or "zsh", to be sourced: commands, kinds and file names.
std::string completion_script(const std::string& shell);

}  // namespace weft::weftctl
