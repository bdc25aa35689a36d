// SPDX-License-Identifier: Apache-2.0
#include "data/digest.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "core/base/error.h"

namespace funnel {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    FUNNEL_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr),
                 "libcrypto offers no SHA-256");
  }

  void add(const char* data, size_t size) {
    FUNNEL_CHECK(EVP_DigestUpdate(context_.get(), data, size), "libcrypto cannot digest");
  }

  using Bytes = std::array<unsigned char, 32>;

  Bytes bytes() {
    Bytes digest{};
    FUNNEL_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr),
                 "libcrypto cannot digest");
    return digest;
  }

  std::string hex() {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes()) {
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256(std::span<const char> bytes) {
  Sha256 digest;
  digest.add(bytes.data(), bytes.size());
  return digest.hex();
}

Digest128 digest128(std::string_view text) {
  Sha256 digest;
  digest.add(text.data(), text.size());
  const Sha256::Bytes bytes = digest.bytes();
  Digest128 first{};
  std::memcpy(first.data(), bytes.data(), sizeof(first));
  return first;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "rb"),
                                                                std::fclose);
  FUNNEL_CHECK_INPUT(file != nullptr, path.string(), ": cannot open: ", std::strerror(errno));
  Sha256 digest;
  std::vector<char> piece(1 << 20);
  size_t got = 0;
  while ((got = std::fread(piece.data(), 1, piece.size(), file.get())) > 0) {
    digest.add(piece.data(), got);
  }
  FUNNEL_CHECK_INPUT(!std::ferror(file.get()), path.string(),
                     ": cannot read: ", std::strerror(errno));
  return digest.hex();
}

}  // namespace funnel
