#pragma once

// Whole files. Main thread.

#include <string>

namespace weft::weftctl {

// False if it cannot be read; that has been told.
bool read_file(const std::string& path, std::string* text);

}  // namespace weft::weftctl
