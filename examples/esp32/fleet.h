// What the sketch needs beside the board: plain C++, so that it also compiles and is tested on a computer.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace fleet {

// How long to wait after failures in a row: twice as long each time up to a limit, and a random part of it, so that a
// fleet does not come back all at once.
class Backoff {
 public:
  Backoff(uint32_t firstMs, uint32_t longestMs) : firstMs_(firstMs), longestMs_(longestMs) {}

  // `random` is any number from the board's generator.
  uint32_t failed(uint32_t random) {
    uint32_t ms = firstMs_;
    for (uint32_t n = 0; n < failures_ && ms < longestMs_; n += 1) ms *= 2;
    if (ms > longestMs_) ms = longestMs_;
    failures_ += 1;
    return ms / 2 + random % (ms / 2 + 1);
  }
  void succeeded() { failures_ = 0; }

 private:
  uint32_t firstMs_;
  uint32_t longestMs_;
  uint32_t failures_ = 0;
};

// The ids of the last commands: one that comes again was not acknowledged in time, but is done already.
class SeenCommands {
 public:
  // True the first time.
  bool isNew(const std::string& id) {
    for (const std::string& known : ids_) {
      if (known == id) return false;
    }
    ids_[next_] = id;
    next_ = (next_ + 1) % ids_.size();
    return true;
  }

 private:
  std::array<std::string, 16> ids_;
  size_t next_ = 0;
};

// A robot's id as it goes into a path.
inline std::string percentEncoded(const std::string& text) {
  static const char* const kHex = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text) {
    const bool isPlain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                         c == '-' || c == '_' || c == '.' || c == '~';
    if (isPlain) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
  return out;
}

}  // namespace fleet
