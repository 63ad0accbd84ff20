#include "tools/weftctl/commands.h"

int main(int argc, char** argv) { return weft::weftctl::run(argc, argv); }
