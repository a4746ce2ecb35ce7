// main() of a fuzz target in builds without libFuzzer: runs the target once on every file named, or
// in a folder named, on the command line. ctest replays the corpora so.
//
// Exit status: 0 all inputs passed (a failing one aborts), 1 no input, or one that can't be read,
// 2 usage.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include "fuzz/input.h"

namespace fs = std::filesystem;

namespace {

/// The regular files at `path`, in the order of their names, so that two runs do the same.
std::vector<fs::path> inputs_at(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.is_regular_file(error)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

bool replay(const fs::path& path) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  if (error) return false;
  // Not a vector, whose capacity may exceed its size and hide a read past the end.
  const auto bytes = std::make_unique_for_overwrite<uint8_t[]>(size);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.get()), static_cast<std::streamsize>(size))) {
    return false;
  }
  LLVMFuzzerTestOneInput(bytes.get(), size);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE_OR_FOLDER ...\n", argv[0]);
    return 2;
  }
  size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const fs::path& path : inputs_at(argv[i])) {
      if (!replay(path)) {
        std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
        return 1;
      }
      ++count;
    }
  }
  std::printf("%zu inputs\n", count);
  return count > 0 ? 0 : 1;
}
