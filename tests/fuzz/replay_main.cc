// The main() of a corpus replay: runs a fuzz target once on every file named on the command line, so that each saved
// input is an ordinary test under every sanitizer.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s: cannot read this corpus file\n", argv[i]);
      return 1;
    }
    std::string input((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
  if (argc < 2) {
    std::fprintf(stderr, "no corpus file was given\n");
    return 1;
  }
  std::printf("%d inputs replayed\n", argc - 1);
  return 0;
}
