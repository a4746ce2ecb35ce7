// Cuts a TxPacket into the frames a NIC would put on the wire: TCP segmentation offload and
// checksum completion in software.
#pragma once

#include <cstdint>
#include <vector>

#include "port/packet.h"

namespace fairlead::sim {

/// One frame per segment, checksums complete. FIN and PSH stay on the last segment only, CWR on the
/// first only (RFC 3168 §6.1.2).
std::vector<std::vector<uint8_t>> cut_frames(const port::TxPacket& packet);

}  // namespace fairlead::sim
