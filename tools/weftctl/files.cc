#include "tools/weftctl/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

namespace weft::weftctl {

bool read_file(const std::string& path, std::string* text) {
  std::ifstream file(path, std::ios::binary);
  text->assign(std::istreambuf_iterator<char>(file), {});
  if (file.good() || file.eof()) return true;
  std::cerr << "weftctl: cannot read " << path << ": " << strerror(errno) << "\n";
  return false;
}

}  // namespace weft::weftctl
