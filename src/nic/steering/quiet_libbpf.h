// QuietLibbpf: keeps libbpf from printing to stderr while it lives. Its lines are for its own
// developers; what failed is reported to the user in an Error, once.
#pragma once

#include <bpf/libbpf.h>

namespace fairlead::nic {

class QuietLibbpf {
 public:
  QuietLibbpf() : previous_(libbpf_set_print(nullptr)) {}
  ~QuietLibbpf() { libbpf_set_print(previous_); }
  QuietLibbpf(const QuietLibbpf&) = delete;
  QuietLibbpf& operator=(const QuietLibbpf&) = delete;

 private:
  libbpf_print_fn_t previous_;
};

}  // namespace fairlead::nic
