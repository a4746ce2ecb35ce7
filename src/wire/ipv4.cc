#include "wire/ipv4.h"

#include "wire/checksum.h"

namespace fairlead::wire {

bool Ipv4View::checksum_ok() const {
  return fairlead::checksum_ok(checksum_add(0, packet_.first(header_size())));
}

}  // namespace fairlead::wire
